package fhir

import (
	"encoding/json"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/intake"
)

// Files finds the files of an export: a folder of NDJSON (also gzipped) and bundles, with what its manifest.json says of them, or one
// file. Only plain files of the folder itself count; a manifest's addresses are read for their last part, never followed.
func Files(at string) ([]intake.File, error) {
	info, err := os.Stat(at)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fault.New(fault.NotFound, "there is no such folder or file").At("path")
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "the folder cannot be read").At("path")
	case !info.IsDir():
		return []intake.File{{Path: at}}, nil
	}
	entries, err := os.ReadDir(at)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the folder cannot be read").At("path")
	}
	says, err := readManifest(filepath.Join(at, manifestName))
	if err != nil {
		return nil, err
	}
	var files []intake.File
	for _, e := range entries {
		if !e.Type().IsRegular() || !wanted(e.Name()) {
			continue
		}
		f := says[e.Name()]
		f.Path = filepath.Join(at, e.Name())
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, fault.New(fault.Invalid, "the folder holds no .ndjson file").At("path").Hint("name the folder that the export was unpacked into")
	}
	slices.SortFunc(files, func(a, b intake.File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

const manifestName = "manifest.json"

func wanted(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasSuffix(lower, ".ndjson") || strings.HasSuffix(lower, ".ndjson.gz") || strings.HasSuffix(lower, ".bundle.json")
}

// readManifest reads the output list of a Bulk Data manifest, by the name of the file; without a manifest there is none.
func readManifest(at string) (map[string]intake.File, error) {
	const most = 4 << 20
	info, err := os.Stat(at)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil || info.Size() > most {
		return nil, fault.New(fault.Invalid, "the manifest cannot be read, or is larger than 4 MiB").At(manifestName)
	}
	raw, err := os.ReadFile(at)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the manifest cannot be read").At(manifestName)
	}
	var m struct {
		Output []struct {
			Type  string `json:"type"`
			URL   string `json:"url"`
			Count int64  `json:"count"`
		} `json:"output"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the manifest is no JSON").At(manifestName)
	}
	says := map[string]intake.File{}
	for _, o := range m.Output {
		says[path.Base(o.URL)] = intake.File{Kind: o.Type, Count: o.Count}
	}
	return says, nil
}

package fhir

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/intake"
)

// Export is a Bulk Data export as it lies on disk.
type Export struct {
	Files  []intake.File
	Errors int    // files in which the server says what it could not export
	As     string // transactionTime: the next export asks for what changed since
}

// manifest is the completion manifest of a Bulk Data export (HL7 Bulk Data Access IG 2.0.0, 2.5.5).
type manifest struct {
	TransactionTime string `json:"transactionTime"`
	Output          []part `json:"output"`
	Deleted         []part `json:"deleted"`
	Error           []part `json:"error"`
}

type part struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count *int64 `json:"count"`
}

const maxManifest = 16 << 20

// Find gives the files of an export: of a folder, of a manifest beside its files, or of files named one by one. In a folder with one
// manifest the manifest decides.
func Find(paths ...string) (*Export, error) {
	x := &Export{}
	for _, p := range paths {
		info, err := os.Stat(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fault.New(fault.NotFound, "there is no such file or folder").At("%s", filepath.Base(p))
		case err != nil:
			return nil, fault.Wrap(fault.Forbidden, err, "the file or folder cannot be read").At("%s", filepath.Base(p))
		case info.IsDir():
			err = x.folder(p)
		default:
			err = x.file(p)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(x.Files) == 0 {
		return nil, fault.New(fault.NotFound, "no file of an export was found").Hint("an export's files end in .ndjson, .json, or either with .gz")
	}
	return x, nil
}

// Files gives the files of the export at one place: a folder, a manifest, or a file.
func Files(at string) ([]intake.File, error) {
	x, err := Find(at)
	if err != nil {
		return nil, err
	}
	return x.Files, nil
}

func (x *Export) folder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.Wrap(fault.Forbidden, err, "the folder cannot be read").At("%s", filepath.Base(dir))
	}
	var names []string
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if e.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		if p := filepath.Join(dir, e.Name()); isManifest(p) {
			return x.manifest(p)
		}
		if name = strings.TrimSuffix(name, ".gz"); (strings.HasSuffix(name, ".ndjson") || strings.HasSuffix(name, ".json")) && name != "log.ndjson" {
			names = append(names, e.Name()) // log.ndjson is the exporting client's diary
		}
	}
	slices.Sort(names)
	for _, name := range names {
		x.Files = append(x.Files, intake.File{Path: filepath.Join(dir, name)})
	}
	return nil
}

func (x *Export) file(p string) error {
	if isManifest(p) {
		return x.manifest(p)
	}
	x.Files = append(x.Files, intake.File{Path: p})
	return nil
}

// isManifest tells a manifest by its fields: its name is whatever the client gave it.
func isManifest(p string) bool {
	if !strings.EqualFold(filepath.Ext(p), ".json") {
		return false
	}
	m, err := readManifest(p)
	return err == nil && m.TransactionTime != "" && m.Output != nil
}

func readManifest(p string) (*manifest, error) {
	info, err := os.Stat(p)
	if err != nil || info.Size() > maxManifest {
		return nil, fault.New(fault.Invalid, "not a manifest")
	}
	body, err := os.ReadFile(p)
	if err != nil {
		return nil, fault.Wrap(fault.Forbidden, err, "the manifest cannot be read")
	}
	m := &manifest{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fault.New(fault.Invalid, "not a manifest")
	}
	return m, nil
}

// manifest takes the files that a manifest names, by the last part of their URLs, from the folder in which it lies.
func (x *Export) manifest(p string) error {
	m, err := readManifest(p)
	if err != nil {
		return err
	}
	x.As = m.TransactionTime
	x.Errors += len(m.Error)
	for _, list := range [][]part{m.Output, m.Deleted} {
		for _, o := range list {
			name, err := localName(o.URL)
			if err != nil {
				return err
			}
			f := intake.File{Path: filepath.Join(filepath.Dir(p), name)}
			if known(o.Type) && o.Type != "Bundle" {
				f.Kind = o.Type
			}
			if o.Count != nil {
				f.Count = *o.Count
			}
			x.Files = append(x.Files, f)
		}
	}
	return nil
}

// localName gives the name of the file that a URL was saved as. It never leaves the manifest's folder.
func localName(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", fault.New(fault.Invalid, "the manifest names a file by something that is no URL")
	}
	name := path.Base(u.Path)
	if name == "." || name == ".." || name == "/" || strings.ContainsAny(name, `/\`) {
		return "", fault.New(fault.Invalid, "the manifest names a file by a URL without a name")
	}
	return name, nil
}

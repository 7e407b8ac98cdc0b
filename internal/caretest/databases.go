package caretest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/carepost/carepost/internal/store"
)

// Databases runs the test once per engine, each time on a fresh database.
func Databases(t *testing.T, test func(t *testing.T, st *store.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, Open(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, OpenPostgreSQL(t)) })
}

// Open gives a fresh SQLite store that ends with the test.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return OpenWith(t, store.Options{Dir: Folder(t)})
}

// OpenPostgreSQL gives a store on a fresh PostgreSQL database that ends with the test.
func OpenPostgreSQL(t testing.TB) *store.Store {
	t.Helper()
	return OpenWith(t, store.Options{DSN: DSN(t)})
}

// OpenWith opens a store with options of the test's own: a clock, a size of batches.
func OpenWith(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return st
}

// Folder gives a data folder with a migrated SQLite database in it that nobody has open.
func Folder(t testing.TB) string {
	t.Helper()
	template, err := folderTemplate()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "carepost.db"), template, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// folderTemplate is the bytes of a migrated database, made once in each test process.
var folderTemplate = sync.OnceValues(func() (db []byte, err error) {
	dir, err := os.MkdirTemp("", "carepost-template-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	st, err := store.Open(context.Background(), store.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	if err := st.Close(); err != nil { // moves the WAL into the file
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "carepost.db"))
})

// Canary looks for texts in all bytes below a folder and gives the files that hold one. It is for the promise that nothing about
// a person is readable at rest; the caller plants one text that must be found, so that a blind search does not pass.
func Canary(t testing.TB, dir string, texts ...string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path) //nolint:gosec // G122: a test's own folder
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // it was only read
		all, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if strings.Contains(string(all), text) {
				files = append(files, path)
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

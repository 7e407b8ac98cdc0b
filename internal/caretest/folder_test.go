package caretest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestFolderOfManyProcesses: those that come at once all get the folder, with the right owner and mode, and what stands in it stays.
func TestFolderOfManyProcesses(t *testing.T) {
	c := &cluster{dir: filepath.Join(t.TempDir(), "pg")}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := c.folder(os.Getuid()); err != nil {
				t.Error(err)
			}
			f, err := os.OpenFile(filepath.Join(c.dir, "users"), os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Error(err)
				return
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := os.Stat(filepath.Join(c.dir, "users")); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(c.dir + "-*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := os.Chmod(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if c.folder(os.Getuid()) == nil {
		t.Error("a folder that others may read was taken")
	}
}

package file

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

const (
	// ChunkSize is the length of every chunk but the last.
	ChunkSize = 1 << 20
	// MaxSize bounds a file: 64 GiB.
	MaxSize = 64 << 30
	// unfinishedAge is how long a file may be in the making: a day.
	unfinishedAge = 24 * time.Hour
)

// Files is where files are.
type Files struct {
	st   *store.Store
	keys *seal.Keys
}

// New gives the files of a store.
func New(st *store.Store, keys *seal.Keys) *Files { return &Files{st, keys} }

// Stat describes a whole file. A file in the making is not found.
func (f *Files) Stat(ctx context.Context, tx *store.Tx, file id.File) (About, error) {
	var sealed []byte
	var whole int64
	err := tx.QueryRow(ctx, sqlAbout, tx.Organisation(), file).Scan(&sealed, &whole)
	if errors.Is(err, sql.ErrNoRows) {
		return About{}, fault.New(fault.NotFound, "no such file")
	}
	if err != nil {
		return About{}, fmt.Errorf("find file %s: %w", file, err)
	}
	plain, err := f.keys.Open(ctx, tx, aboutCell(file), sealed)
	if err != nil {
		return About{}, fmt.Errorf("open the description of file %s: %w", file, err)
	}
	about, err := decode(plain)
	about.Made = store.Time(whole)
	return about, err
}

// Delete removes a file, whole or not. Deleting what is not there is no error.
func (f *Files) Delete(ctx context.Context, tx *store.Tx, file id.File) error {
	if _, err := tx.Exec(ctx, sqlDelete, tx.Organisation(), file); err != nil {
		return fmt.Errorf("delete file %s: %w", file, err)
	}
	return nil
}

// Sweep removes files that were begun more than a day ago and never became whole: their writer crashed. Who keeps files runs it daily.
func (f *Files) Sweep(ctx context.Context) (int64, error) {
	var total int64
	for {
		var n int64
		err := f.st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = tx.Exec(ctx, sqlSweep, store.Millis(tx.Now.Add(-unfinishedAge)))
			return err
		})
		if err != nil {
			return total, fmt.Errorf("sweep unfinished files: %w", err)
		}
		if total += n; n == 0 {
			return total, nil
		}
	}
}

func aboutCell(file id.File) seal.Cell {
	return seal.Cell{Table: "file", Column: "about", Row: file[:]}
}

// chunkCell binds a chunk to its file and its number, so that chunks cannot be swapped, repeated or moved to another file.
func chunkCell(file id.File, number int64) seal.Cell {
	return seal.Cell{Table: "file_chunk", Column: "content", Row: binary.BigEndian.AppendUint64(file[:], uint64(number))}
}

package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Reader gives a file's content, a chunk in memory at a time. It may Seek, as http.ServeContent does. Read from the beginning to
// the end it checks the digest of the whole too. One goroutine uses it.
type Reader struct {
	ctx   context.Context //nolint:containedctx // io.Reader has no place for it; the Reader lives within one call of its user
	files *Files
	scope id.Scope
	id    id.File
	about About

	at     int64 // the next byte to give
	number int64 // of the chunk in hand, -1: none
	chunk  []byte
	sum    hash.Hash // of the first summed bytes
	summed int64
}

// Open finds a whole file for reading.
func (f *Files) Open(ctx context.Context, scope id.Scope, file id.File) (*Reader, error) {
	r := &Reader{ctx: ctx, files: f, scope: scope, id: file, number: -1, sum: sha256.New()}
	err := f.st.Read(ctx, scope, func(ctx context.Context, tx *store.Tx) (err error) {
		r.about, err = f.Stat(ctx, tx, file)
		return err
	})
	return r, err
}

// About describes the file.
func (r *Reader) About() About { return r.about }

// Read gives content.
func (r *Reader) Read(p []byte) (int, error) {
	if r.at >= r.about.Size {
		return 0, r.end()
	}
	if len(p) == 0 {
		return 0, nil
	}
	if n := r.at / ChunkSize; n != r.number {
		if err := r.load(n); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.chunk[r.at%ChunkSize:])
	if r.summed == r.at {
		r.sum.Write(p[:n])
		r.summed += int64(n)
	}
	r.at += int64(n)
	return n, nil
}

// end is the answer after the last byte: io.EOF, or a fault when all was read and is not what was written.
func (r *Reader) end() error {
	if r.summed != r.about.Size || r.at != r.about.Size {
		return io.EOF
	}
	if !bytes.Equal(r.sum.Sum(nil), r.about.Digest[:]) {
		return fault.New(fault.Internal, "file %s is not what was written", r.id)
	}
	return io.EOF
}

// Seek sets the next byte to give.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.about.Size
	default:
		return 0, errors.New("file: seek from nowhere")
	}
	if offset < 0 {
		return 0, errors.New("file: seek to before the beginning")
	}
	r.at = offset
	return offset, nil
}

func (r *Reader) load(number int64) error {
	var plain []byte
	err := r.files.st.Read(r.ctx, r.scope, func(ctx context.Context, tx *store.Tx) error {
		var sealed []byte
		err := tx.QueryRow(ctx, sqlContent, tx.Organisation(), r.id, number).Scan(&sealed)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.NotFound, "the file was deleted, or a part of it is missing")
		}
		if err != nil {
			return err
		}
		plain, err = r.files.keys.Open(ctx, tx, chunkCell(r.id, number), sealed)
		return err
	})
	if err != nil {
		return fmt.Errorf("read chunk %d of file %s: %w", number, r.id, err)
	}
	if want := min(ChunkSize, r.about.Size-number*ChunkSize); int64(len(plain)) != want {
		return fault.New(fault.Internal, "chunk %d of file %s has the wrong length", number, r.id)
	}
	r.number, r.chunk = number, plain
	return nil
}

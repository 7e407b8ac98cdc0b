package ledger

import (
	"archive/tar"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// KeyOf gives the key of the person whom a record is about, or a zero key when the record is about nobody or the key is destroyed.
type KeyOf func(ctx context.Context, tx *store.Tx, r Record) (seal.Key, error)

// Export writes an organisation's tree, as it is now, as a tar archive that Verify reads with nothing but the public key. It holds
// leaves only, no detail: no PHI. docs/formats/tiles.md describes it.
func (l *Ledger) Export(ctx context.Context, org id.Organisation, w io.Writer) error {
	return l.export(ctx, org, w, nil)
}

// ExportOpened is Export with the details of the entries in clear, as far as their keys are there: PHI, for an auditor who is to
// read them. Verify checks each against its entry.
func (l *Ledger) ExportOpened(ctx context.Context, org id.Organisation, w io.Writer, keyOf KeyOf) error {
	return l.export(ctx, org, w, keyOf)
}

type exporter struct {
	l     *Ledger
	org   id.Organisation
	out   *tar.Writer
	at    time.Time
	keyOf KeyOf
	buf   []byte
}

func (l *Ledger) export(ctx context.Context, org id.Organisation, w io.Writer, keyOf KeyOf) error {
	if err := l.Numbered(ctx, org); err != nil {
		return err
	}
	c, signed, at, err := l.checkpoint(ctx, org)
	if err != nil {
		return err
	}
	x := exporter{l: l, org: org, out: tar.NewWriter(w), at: at, keyOf: keyOf}
	if err := x.file(fileCheckpoint, signed); err != nil {
		return err
	}
	// Entries and full tiles never change and partial ones only grow, so each file is read on its own: a slow reader holds no
	// snapshot of the database open.
	err = layout(c.size, func(it item) error {
		return l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
			if it.entries {
				return x.entries(ctx, tx, it)
			}
			return x.tile(ctx, tx, it)
		})
	})
	if err != nil {
		return err
	}
	if err := x.out.Close(); err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	return nil
}

// checkpoint gives a signed checkpoint over the tree as it is now.
func (l *Ledger) checkpoint(ctx context.Context, org id.Organisation) (c checkpoint, signed []byte, at time.Time, err error) {
	if l.forked.Load() {
		return c, nil, at, errForked() // never sign a second history
	}
	var h head
	err = l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		h, _, err = readHead(ctx, tx, org, selectHead)
		at = tx.Now
		return err
	})
	if err != nil {
		return c, nil, at, err
	}
	c = checkpoint{origin: treeOrigin(l.signer.origin, org, h.epoch), size: h.size}
	copy(c.root[:], h.root)
	if h.signedSize == h.size && len(h.signed) > 0 {
		return c, h.signed, store.Time(h.signedAt), nil
	}
	if l.mark.ahead(h) {
		l.forked.Store(true)
		return c, nil, at, errForked()
	}
	if h.signed, err = l.signer.sign(c); err != nil {
		return c, nil, at, fmt.Errorf("sign the ledger: %w", err)
	}
	h.signedSize = h.size
	if h.size > 0 {
		l.mark.note(h)
	}
	return c, h.signed, at, nil
}

// Checkpoint gives a signed checkpoint over all that was committed before the call: what an auditor keeps to hold against the next
// export, and the receipt of an act that must be proven before it takes effect (emergency access, an export).
func (l *Ledger) Checkpoint(ctx context.Context, org id.Organisation) ([]byte, error) {
	if err := l.Numbered(ctx, org); err != nil {
		return nil, err
	}
	_, signed, _, err := l.checkpoint(ctx, org)
	return signed, err
}

func (x *exporter) entries(ctx context.Context, tx *store.Tx, it item) error {
	first := it.place << tileHeight
	all, err := records(ctx, tx, selectLeaves, x.org, first, first+int64(it.width))
	if err != nil {
		return err
	}
	b := x.buf[:0]
	for i := range it.width {
		if i >= len(all) || all[i].Seq != first+int64(i) {
			return fault.New(fault.Internal, "the entry is missing from the database").At("entry %d", first+int64(i)).
				Hint("it was removed by another hand: compare with the last backup")
		}
		b = appendBundled(b, all[i].leaf)
	}
	x.buf = b
	if err := x.file(it.name(), b); err != nil {
		return err
	}
	if x.keyOf == nil {
		return nil
	}
	return x.details(ctx, tx, it, all)
}

func (x *exporter) details(ctx context.Context, tx *store.Tx, it item, all []Record) error {
	b := x.buf[:0]
	for _, r := range all {
		var key seal.Key
		var opening []byte
		var err error
		if r.HasDetail() && !r.Subject.IsZero() {
			key, err = x.keyOf(ctx, tx, r)
		}
		if err == nil {
			opening, _, err = x.l.openDetail(ctx, tx, r, key)
		}
		if err != nil && !fault.Is(err, fault.Sealed) {
			return err
		}
		b = appendBundled(b, opening) // empty: none, or destroyed
	}
	x.buf = b
	return x.file(tilePath(dirDetails, it.place, it.width), b)
}

func (x *exporter) tile(ctx context.Context, tx *store.Tx, it item) error {
	var hashes []byte
	err := tx.QueryRow(ctx, selectTile, x.org, it.level, it.place).Scan(&hashes)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read a tile of the ledger: %w", err)
	}
	if len(hashes) < it.width*tlog.HashSize {
		return fault.New(fault.Internal, "a tile is missing from the database, or too short").At("%s", it.name()).
			Hint("it was removed by another hand: compare with the last backup")
	}
	return x.file(it.name(), hashes[:it.width*tlog.HashSize])
}

func (x *exporter) file(name string, content []byte) error {
	err := x.out.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644, ModTime: x.at.Truncate(time.Second), Format: tar.FormatUSTAR,
	})
	if err == nil {
		_, err = x.out.Write(content)
	}
	if err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	return nil
}

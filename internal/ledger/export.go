package ledger

import (
	"archive/tar"
	"bytes"
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
	s, err := l.signedNow(ctx, org)
	if err != nil {
		return err
	}
	if err := l.addCosignatures(ctx, org, &s); err != nil {
		return err
	}
	return l.exportAt(ctx, org, w, s, keyOf)
}

// ExportAt is Export of the tree as it was at a checkpoint of this ledger in its present epoch, which goes into the archive as it is
// given: with the lines of the witnesses that Cosign got.
func (l *Ledger) ExportAt(ctx context.Context, org id.Organisation, signed []byte, w io.Writer) error {
	c, of, epoch, err := openCheckpoint(signed, l.signer.public())
	if err != nil || of != org {
		return fault.Wrap(fault.Invalid, err, "not a checkpoint of this tree").At("%s", org)
	}
	var h head
	err = l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) (err error) {
		h, _, err = readHead(ctx, tx, org, selectHead)
		return err
	})
	if err != nil {
		return err
	}
	if h.epoch != epoch || h.size < c.size {
		return fault.New(fault.Conflict, "the tree is not the one of the checkpoint: it was restored").At("%s", org)
	}
	return l.exportAt(ctx, org, w, signedTree{checkpoint: c, epoch: epoch, signed: signed, at: store.Time(h.signedAt)}, nil)
}

func (l *Ledger) exportAt(ctx context.Context, org id.Organisation, w io.Writer, s signedTree, keyOf KeyOf) error {
	x := exporter{l: l, org: org, out: tar.NewWriter(w), at: s.at, keyOf: keyOf}
	if err := x.file(fileCheckpoint, s.signed); err != nil {
		return err
	}
	// Entries and full tiles never change and partial ones only grow, so each file is read on its own: a slow reader holds no
	// snapshot of the database open.
	err := layout(s.size, func(it item) error {
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

// signedTree is a tree's checkpoint with its signature.
type signedTree struct {
	checkpoint
	epoch  int64
	signed []byte
	at     time.Time
}

// signedNow gives a signed checkpoint over the tree as it is now.
func (l *Ledger) signedNow(ctx context.Context, org id.Organisation) (s signedTree, err error) {
	if l.forked.Load() {
		return s, errForked() // never sign a second history
	}
	var h head
	marked := l.mark.of(org) // before the snapshot: what is signed meanwhile is ahead of it and is no fork
	err = l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) (err error) {
		h, _, err = readHead(ctx, tx, org, selectHead)
		s.at = tx.Now
		return err
	})
	if err != nil {
		return s, err
	}
	s.checkpoint, s.epoch = checkpoint{origin: treeOrigin(l.signer.origin, org, h.epoch), size: h.size}, h.epoch
	copy(s.root[:], h.root)
	if h.signedSize == h.size && len(h.signed) > 0 {
		s.signed = h.signed
		return s, nil
	}
	if marked.ahead(h) {
		l.forked.Store(true)
		return s, errForked()
	}
	if h.signed, err = l.signer.sign(s.checkpoint); err != nil {
		return s, fmt.Errorf("sign the ledger: %w", err)
	}
	s.signed, h.signedSize = h.signed, h.size
	if h.size > 0 {
		l.mark.note(h)
	}
	return s, nil
}

// addCosignatures puts the lines of witnesses that have cosigned this very checkpoint under it.
func (l *Ledger) addCosignatures(ctx context.Context, org id.Organisation, s *signedTree) error {
	err := l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		rows, err := tx.Query(ctx, selectCosignatures, org, s.epoch, s.size)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
		s.signed = bytes.Clone(s.signed)
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				return err
			}
			s.signed = append(s.signed, line...)
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("read the witnesses' lines: %w", err)
	}
	return nil
}

// Checkpoint gives a signed checkpoint over all that was committed before the call: what an auditor keeps to hold against the next
// export, and the receipt of an act that must be proven before it takes effect (emergency access, an export). It carries the lines of
// the witnesses that have cosigned it already; Cosign asks them.
func (l *Ledger) Checkpoint(ctx context.Context, org id.Organisation) ([]byte, error) {
	if err := l.Numbered(ctx, org); err != nil {
		return nil, err
	}
	s, err := l.signedNow(ctx, org)
	if err != nil {
		return nil, err
	}
	err = l.addCosignatures(ctx, org, &s)
	return s.signed, err
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

package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

const (
	maxMoved    = 8192                   // entries in one step of the sequencer
	maxNumbered = 65536                  // changes in one step, per tree
	pollEvery   = 200 * time.Millisecond // for what other nodes committed; this node's own commits wake the sequencer
	signEvery   = time.Second
	markEvery   = time.Second
	pauseAfter  = time.Second      // after an error
	followSlack = 10 * time.Second // between the clocks of nodes
	lastRound   = 5 * time.Second
)

// Run keeps the ledger going until ctx ends: on PostgreSQL it sequences and signs (one node at a time does), on both engines it
// keeps the mark of what was signed. At the end it does both once more.
func (l *Ledger) Run(ctx context.Context) error {
	marks := time.NewTicker(markEvery)
	defer marks.Stop()
	poll := time.NewTimer(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRound)
			defer cancel()
			return errors.Join(l.drain(last), l.SaveMark())
		case <-marks.C:
			if err := errors.Join(l.followSigned(ctx), l.SaveMark()); err != nil {
				slog.ErrorContext(ctx, "the ledger's mark cannot be written", "error", err)
			}
		case <-l.kick:
			poll.Reset(l.sequenceAll(ctx))
		case <-poll.C:
			poll.Reset(l.sequenceAll(ctx))
		}
	}
}

// sequenceAll works off what waits and tells when to look again.
func (l *Ledger) sequenceAll(ctx context.Context) time.Duration {
	if l.st.Engine() == store.SQLite {
		return time.Hour
	}
	for {
		moved, err := l.round(ctx, false)
		switch {
		case ctx.Err() != nil:
			return 0
		case err != nil:
			slog.ErrorContext(ctx, "the ledger cannot be sequenced", "error", err)
			return pauseAfter
		case moved < maxMoved:
			return pollEvery
		}
	}
}

// drain sequences and signs what was committed before the end.
func (l *Ledger) drain(ctx context.Context) error {
	if l.st.Engine() == store.SQLite || l.forked.Load() {
		return nil
	}
	for {
		moved, err := l.round(ctx, true)
		if err != nil || moved == 0 {
			return err
		}
	}
}

// round is one step of the sequencer on PostgreSQL: the node that gets the advisory lock moves what waits into the trees, and
// signs the trees that grew since they were last signed, at most once a second. It tells how many entries it moved.
func (l *Ledger) round(ctx context.Context, signNow bool) (moved int, err error) {
	if l.forked.Load() && !l.reopened(ctx) {
		return 0, nil
	}
	err = l.st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		moved = 0
		var mine bool
		if err := tx.QueryRow(ctx, lockSequencer).Scan(&mine); err != nil || !mine {
			return err
		}
		orgs, err := organisations(ctx, tx, selectWaiting)
		if err != nil {
			return err
		}
		var grown []*growth
		for _, org := range orgs {
			g, err := l.begin(ctx, tx, org)
			if l.noteBroken(org, err) {
				slog.ErrorContext(ctx, "a tree of the ledger cannot go on", "organisation", org, "error", err)
				continue
			}
			if err != nil {
				return err
			}
			n, err := g.takePending(ctx, tx, maxMoved-moved)
			if err != nil {
				return fmt.Errorf("sequence the ledger of %s: %w", org, err)
			}
			if _, err := tx.Exec(ctx, moveChanges, org, org, maxNumbered, org, org); err != nil {
				return fmt.Errorf("number the changes of %s: %w", org, err)
			}
			if n > 0 {
				grown = append(grown, g)
			}
			if moved += n; moved >= maxMoved {
				break
			}
		}
		return l.finishRound(ctx, tx, grown, signNow)
	})
	return moved, err
}

// finishRound writes the trees that grew. When the last signing is a second ago, it signs them, and those that grew since then.
func (l *Ledger) finishRound(ctx context.Context, tx *store.Tx, grown []*growth, signNow bool) error {
	at, last := store.Millis(tx.Now), l.signed.Load()
	sign := signNow || at-last >= signEvery.Milliseconds() || last > at
	if sign {
		unsigned, err := organisations(ctx, tx, selectUnsigned)
		if err != nil {
			return err
		}
		for _, org := range unsigned {
			if slices.ContainsFunc(grown, func(g *growth) bool { return g.head.org == org }) {
				continue
			}
			g, err := l.begin(ctx, tx, org)
			if l.noteBroken(org, err) {
				continue
			}
			if err != nil {
				return err
			}
			grown = append(grown, g)
		}
		if len(grown) > 0 {
			tx.OnCommit(func() { l.signed.Store(at) })
		}
	}
	for _, g := range grown {
		if err := g.finish(ctx, tx, sign); err != nil {
			return err
		}
	}
	return nil
}

// followSigned takes what other nodes signed into this node's mark (PostgreSQL).
func (l *Ledger) followSigned(ctx context.Context) error {
	if l.st.Engine() == store.SQLite || l.forked.Load() {
		return nil
	}
	return l.noteSigned(ctx, l.followed.Load())
}

// adoptSigned takes what the database holds into the mark, at the start.
func (l *Ledger) adoptSigned(ctx context.Context) error {
	had := l.mark.file
	if err := l.noteSigned(ctx, 0); err != nil {
		return err
	}
	if n := len(l.mark.list()); !had && n > 0 && l.mark.path != "" {
		slog.WarnContext(ctx, "there is no mark of what the ledger signed; whether the database was restored before now cannot be told", "trees", n)
	}
	return nil
}

func (l *Ledger) noteSigned(ctx context.Context, since int64) error {
	var began int64
	err := l.st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		began = store.Millis(tx.Now)
		rows, err := tx.Query(ctx, selectSigned, since)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
		for rows.Next() {
			var org id.Organisation
			var signed []byte
			if err := rows.Scan(&org, &signed); err != nil {
				return err
			}
			// One that does not fit is met, with its reason, when its tree is used.
			c, of, epoch, err := openCheckpoint(signed, l.signer.public())
			if err == nil && of == org {
				l.mark.note(head{org: org, epoch: epoch, root: c.root[:], signedSize: c.size, signed: signed})
			}
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("read what the ledger signed: %w", err)
	}
	l.followed.Store(began - followSlack.Milliseconds())
	return nil
}

// reopened tells whether another node has reopened the ledger meanwhile.
func (l *Ledger) reopened(ctx context.Context) bool {
	_, forked, err := l.CheckFork(ctx)
	if err != nil || forked {
		return false
	}
	l.forked.Store(false)
	return true
}

func organisations(ctx context.Context, tx *store.Tx, query string) ([]id.Organisation, error) {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list the ledger's trees: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, whose error is checked
	var all []id.Organisation
	for rows.Next() {
		var org id.Organisation
		if err := rows.Scan(&org); err != nil {
			return nil, fmt.Errorf("list the ledger's trees: %w", err)
		}
		all = append(all, org)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the ledger's trees: %w", err)
	}
	return all, nil
}

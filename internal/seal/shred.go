package seal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// What a certificate is about.
const (
	ShredPerson       = "person"
	ShredMonth        = "month"
	ShredOrganisation = "organisation"
)

// MonthPurposes are what a month may be shredded of. Settings are not among them: they are in use for longer than their month.
var MonthPurposes = []Purpose{PurposeMessage, PurposeRaw, PurposeFile, PurposeLedger, PurposeJob}

// maxRenewals bounds how often a shredding begins anew when another renewal of a bucket was faster.
const maxRenewals = 5

// ShredSubjects destroys the keys of subjects that are one person, and of the buckets that they were in, in one transaction with the
// entry of the book and the certificate, which it gives signed. erase empties the owner's rows in that transaction. What had to move
// from those buckets has moved before, a batch a transaction.
func (k *Keys) ShredSubjects(ctx context.Context, s id.Scope, basis string, subjects []id.Person, erase func(ctx context.Context, tx *store.Tx) error) ([]byte, error) {
	if k.subjects() == nil || len(subjects) == 0 {
		return nil, fault.New(fault.Internal, "there are no subjects to shred")
	}
	if err := k.mayShred(s); err != nil {
		return nil, err
	}
	buckets := map[byte]map[id.UUID]bool{}
	var of []string
	for _, p := range subjects {
		b := p[15]
		if buckets[b] == nil {
			buckets[b] = map[id.UUID]bool{}
		}
		buckets[b][p.UUID()] = true
		of = append(of, p.String())
	}
	k.tending.Lock()
	defer k.tending.Unlock()
	for range maxRenewals {
		for b, gone := range buckets {
			next, err := k.beginRenewal(ctx, s, b)
			if err != nil {
				return nil, err
			}
			if err := k.move(ctx, s, b, next, gone); err != nil {
				return nil, err
			}
		}
		signed, err := k.shred(ctx, s, Certificate{What: ShredPerson, Of: of, Basis: basis}, func(ctx context.Context, tx *store.Tx, c *Certificate) (err error) {
			if err := k.alone(ctx, tx); err != nil {
				return err
			}
			for b, gone := range buckets {
				if err := k.moveRest(ctx, tx, b, gone); err != nil {
					return err
				}
			}
			// The keys open until here: the owner's last entries about the person are made under them.
			if err := erase(ctx, tx); err != nil {
				return err
			}
			for b, gone := range buckets {
				n, err := k.destroyRest(ctx, tx, b)
				if err != nil {
					return err
				}
				c.Keys += n + len(gone)
			}
			c.Stays, err = stays(ctx, tx)
			return err
		})
		if !errors.Is(err, errMoved) {
			return signed, err
		}
	}
	return nil, fault.New(fault.Unavailable, "the keys of the person's buckets are being renewed by others").Hint("try again in a minute")
}

// ShredMonth destroys the keys of purposes of a month that is over: what they sealed is gone.
func (k *Keys) ShredMonth(ctx context.Context, s id.Scope, basis string, yyyymm uint32, purposes []Purpose) ([]byte, error) {
	if err := k.mayShred(s); err != nil {
		return nil, err
	}
	c := Certificate{What: ShredMonth, Month: yyyymm, Basis: basis}
	for _, p := range purposes {
		if !slices.Contains(MonthPurposes, p) {
			return nil, fault.New(fault.Invalid, "a month is not shredded of that").At("purposes").Hint("it is one of %v", MonthPurposes)
		}
		c.Of = append(c.Of, string(p))
	}
	slices.Sort(c.Of)
	c.Of = slices.Compact(c.Of)
	if len(c.Of) == 0 {
		return nil, fault.New(fault.Invalid, "a month is shredded of something").At("purposes").Hint("it is one of %v", MonthPurposes)
	}
	return k.shred(ctx, s, c, func(ctx context.Context, tx *store.Tx, c *Certificate) error {
		if yyyymm >= month(tx.Now) || yyyymm%100 < 1 || yyyymm%100 > 12 {
			return fault.New(fault.Invalid, "not a month that is over").At("month").Hint("write it as 2026-10; the month that runs seals yet")
		}
		for _, p := range c.Of {
			rows, err := readRows(ctx, tx, selectSlot, s.Organisation, p, yyyymm)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if err := k.Destroy(ctx, tx, r.id); err != nil {
					return err
				}
				c.Keys++
			}
		}
		if c.Keys == 0 {
			return fault.New(fault.NotFound, "there is no key of that month").At("month").Hint("it was shredded before, or nothing was sealed in it")
		}
		return nil
	})
}

// ShredOrganisation destroys every key of an organisation. before closes it in the same transaction.
func (k *Keys) ShredOrganisation(ctx context.Context, s id.Scope, basis string, before func(ctx context.Context, tx *store.Tx) error) ([]byte, error) {
	if err := k.mayShred(s); err != nil {
		return nil, err
	}
	return k.shred(ctx, s, Certificate{What: ShredOrganisation, Basis: basis}, func(ctx context.Context, tx *store.Tx, c *Certificate) error {
		if err := before(ctx, tx); err != nil {
			return err
		}
		if err := k.alone(ctx, tx); err != nil {
			return err
		}
		rows, err := readRows(ctx, tx, selectOrganisationKeys, s.Organisation)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, destroyOrganisation, store.Millis(tx.Now), s.Organisation); err != nil {
			return fmt.Errorf("destroy the keys of %s: %w", s.Organisation, err)
		}
		for _, r := range rows {
			k.bar(tx, r.id, false)
		}
		k.mu.Lock()
		k.forgetAll(s.Organisation)
		k.mu.Unlock()
		c.Keys = len(rows)
		return k.order(ctx, tx, orderOrganisation, 0)
	})
}

// mayShred refuses what could not be recorded and certified.
func (k *Keys) mayShred(s id.Scope) error {
	if s.Organisation == id.Installation {
		return fault.New(fault.Invalid, "the installation's own keys are not shredded").Hint("name an organisation")
	}
	if k.written() == nil {
		return fault.New(fault.Internal, "nothing is shredded without a ledger")
	}
	return k.recordable(s.Organisation)
}

// shred runs a destruction, its entry and its certificate in one transaction, and has the nodes drop what it destroyed.
func (k *Keys) shred(ctx context.Context, s id.Scope, c Certificate, destroy func(context.Context, *store.Tx, *Certificate) error) (signed []byte, err error) {
	var at time.Time
	err = k.st.Write(ctx, s, func(ctx context.Context, tx *store.Tx) (err error) {
		c := c
		if err := destroy(ctx, tx, &c); err != nil {
			return err
		}
		at = tx.Now
		signed, err = k.certify(ctx, tx, &c)
		return err
	})
	if err != nil {
		return nil, err
	}
	// This process has dropped it, and says so; the others follow within seconds. What fails here is done by the next Tend.
	err = k.Obey(ctx, at)
	if err == nil {
		_, err = k.settle(ctx)
	}
	if err != nil {
		slog.ErrorContext(ctx, "what was shredded could not be settled at once", "error", err)
	}
	return signed, nil
}

// certify signs what was destroyed in a transaction, keeps it, and writes the entry.
func (k *Keys) certify(ctx context.Context, tx *store.Tx, c *Certificate) ([]byte, error) {
	b := k.written()
	var marked uint32
	if err := tx.QueryRow(ctx, selectMarked).Scan(&marked); err != nil {
		return nil, fmt.Errorf("find the epoch of the database: %w", err)
	}
	c.ID, c.Origin, c.Ring, c.Organisation = id.New[id.Certificate](), b.Origin, k.ring.id, tx.Organisation()
	c.By, c.At, c.Epoch = tx.Scope.Actor.String(), tx.Now, max(marked, k.ring.newestNumber())
	// The epoch is superseded within a night, and destroyed a window after that.
	c.Complete = tx.Now.Add(EpochAge + Window)
	signed, err := b.Sign(c.Text())
	if err != nil {
		return nil, fmt.Errorf("sign a certificate of destruction: %w", err)
	}
	if _, err := tx.Exec(ctx, insertCertificate, tx.Organisation(), c.ID, store.Millis(tx.Now), signed); err != nil {
		return nil, fmt.Errorf("keep a certificate of destruction: %w", err)
	}
	detail := map[string]string{
		"change": c.What + " shredded", "basis": c.Basis, "keys": strconv.Itoa(c.Keys), "complete": c.Complete.Format(time.RFC3339),
		"certificate": c.ID.String(),
	}
	if c.Month != 0 {
		detail["month"] = strconv.FormatUint(uint64(c.Month), 10)
	}
	for i, of := range c.Of {
		detail["of."+strconv.Itoa(i)] = of
	}
	return signed, b.Record(ctx, tx, Event{Kind: KeysDestroyed, Object: c.ID.UUID(), Detail: detail})
}

// stays names what may speak of a person under keys of the organisation: source messages as they came, what servers answered, files.
func stays(ctx context.Context, tx *store.Tx) (all []string, err error) {
	rows, err := tx.Query(ctx, selectMonths, tx.Organisation())
	if err != nil {
		return nil, fmt.Errorf("list the months whose keys stay: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var purpose string
		var period uint32
		if err := rows.Scan(&purpose, &period); err != nil {
			return nil, fmt.Errorf("list the months whose keys stay: %w", err)
		}
		all = append(all, fmt.Sprintf("%s/%d", purpose, period))
	}
	return all, rows.Err()
}

// NewestMonth gives the first moment after the newest month that anything of the transaction's organisation was sealed in.
func (k *Keys) NewestMonth(ctx context.Context, tx *store.Tx) (end time.Time, err error) {
	var period int
	if err := tx.QueryRow(ctx, selectNewestMonth, tx.Organisation()).Scan(&period); err != nil {
		return end, fmt.Errorf("find the newest month: %w", err)
	}
	return MonthEnd(uint32(period)), nil
}

// MonthEnd gives the first moment after a month written as yyyymm.
func MonthEnd(yyyymm uint32) time.Time {
	return time.Date(int(yyyymm/100), time.Month(yyyymm%100)+1, 1, 0, 0, 0, 0, time.UTC)
}

// Certificate gives a kept certificate of the transaction's organisation, signed as it was.
func (k *Keys) Certificate(ctx context.Context, tx *store.Tx, certificate id.Certificate) (signed []byte, err error) {
	err = tx.QueryRow(ctx, selectCertificate, tx.Organisation(), certificate).Scan(&signed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "there is no such certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("read a certificate: %w", err)
	}
	return signed, nil
}

// Kept is a certificate by its id.
type Kept struct {
	ID   id.Certificate
	Made time.Time
}

// Certificates lists the newest certificates of the transaction's organisation.
func (k *Keys) Certificates(ctx context.Context, tx *store.Tx, limit int) (all []Kept, err error) {
	rows, err := tx.Query(ctx, selectCertificates, tx.Organisation(), limit)
	if err != nil {
		return nil, fmt.Errorf("list certificates: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var c Kept
		var made int64
		if err := rows.Scan(&c.ID, &made); err != nil {
			return nil, fmt.Errorf("list certificates: %w", err)
		}
		c.Made = store.Time(made)
		all = append(all, c)
	}
	return all, rows.Err()
}

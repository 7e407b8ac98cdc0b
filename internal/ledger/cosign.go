package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

const (
	askWithin    = 10 * time.Second // one request to a witness
	askTimes     = 3                // requests for one checkpoint
	askPause     = 250 * time.Millisecond
	askAgain     = 24 * time.Hour   // a tree that did not grow is cosigned anew: it says that nothing came since
	maxAhead     = 10 * time.Minute // a witness's clock before ours
	maxCosigning = 64 << 10         // bytes of an answer
)

// asked is a witness that this ledger asks.
type asked struct {
	url string
	key witnessKey
}

// Witnesses sets whom Cosign asks: each a URL, a space and the witness's public key; several are separated by a semicolon. The client
// carries the requests; it follows no redirect.
func (l *Ledger) Witnesses(text string, client *http.Client) error {
	all, err := parseWitnesses(text)
	if err != nil {
		return err
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	l.asked, l.client = all, &c
	return nil
}

func parseWitnesses(text string) (all []asked, err error) {
	for one := range strings.SplitSeq(text, ";") {
		words := strings.Fields(one)
		if len(words) == 0 {
			continue
		}
		bad := fault.New(fault.Invalid, "not a witness").At("witnesses").Hint("write its URL, a space and its public key; a semicolon before the next one")
		if len(words) != 2 {
			return nil, bad
		}
		u, err := url.Parse(words[0])
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, bad
		}
		key, err := parseWitnessKey(words[1])
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(a asked) bool { return a.key.String() == key.String() }) {
			return nil, fault.New(fault.Invalid, "a witness stands twice").At("witnesses")
		}
		all = append(all, asked{strings.TrimRight(words[0], "/") + "/add-checkpoint", key})
	}
	return all, nil
}

// CosignAll has every tree that grew cosigned by every witness. What a witness does not answer now it is asked for again at the next
// call; a refusal is said in the log and by Witnessed.
func (l *Ledger) CosignAll(ctx context.Context) error {
	if len(l.asked) == 0 || l.forked.Load() {
		return nil
	}
	var orgs []id.Organisation
	err := l.st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) (err error) {
		orgs, err = organisations(ctx, tx, selectHeads)
		return err
	})
	if err != nil {
		return err
	}
	errs := make([]error, len(l.asked))
	l.each(func(i int, a asked) {
		for _, org := range orgs {
			if errs[i] = l.askOne(ctx, a, org); errs[i] != nil && fault.Is(errs[i], fault.Unavailable) {
				return // it does not answer: the other trees wait as well
			}
		}
	})
	return errors.Join(errs...)
}

// Cosign has one tree cosigned, as it is now, and gives the checkpoint with the lines of the witnesses that did. Without witnesses it
// is Checkpoint. A witness that does not cosign is an error beside the checkpoint, which is good without it.
func (l *Ledger) Cosign(ctx context.Context, org id.Organisation) (signed []byte, err error) {
	if err := l.Numbered(ctx, org); err != nil {
		return nil, err
	}
	s, err := l.signedNow(ctx, org)
	if err != nil {
		return nil, err
	}
	lines, errs := make([]string, len(l.asked)), make([]error, len(l.asked))
	l.each(func(i int, a asked) {
		lines[i], errs[i] = l.ask(ctx, a, org, s)
	})
	for _, line := range lines {
		s.signed = append(s.signed, line...)
	}
	return s.signed, errors.Join(errs...)
}

// each runs fn for all witnesses at once.
func (l *Ledger) each(fn func(i int, a asked)) {
	var all sync.WaitGroup
	for i, a := range l.asked {
		all.Go(func() { fn(i, a) })
	}
	all.Wait()
}

// askOne asks a witness for a tree if it grew since the witness last cosigned it, or that was a day ago.
func (l *Ledger) askOne(ctx context.Context, a asked, org id.Organisation) error {
	s, err := l.signedNow(ctx, org)
	if err != nil || s.size == 0 {
		return err
	}
	size, at, err := l.cosignedBy(ctx, a, org, s.epoch)
	if err != nil || size == s.size && s.at.Sub(at) < askAgain {
		return err
	}
	_, err = l.ask(ctx, a, org, s)
	return err
}

// cosignedBy tells up to where a witness has cosigned a tree, and when; 0 for never.
func (l *Ledger) cosignedBy(ctx context.Context, a asked, org id.Organisation, epoch int64) (size int64, at time.Time, err error) {
	err = l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		var millis int64
		err := tx.QueryRow(ctx, selectCosigned, org, epoch, a.key.identity()).Scan(&size, &millis)
		at = store.Time(millis)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return 0, at, fmt.Errorf("read what a witness cosigned: %w", err)
	}
	return size, at, nil
}

// ask gets a witness's line for a checkpoint: the proof from what it saw last, and again when it says that it saw another size.
func (l *Ledger) ask(ctx context.Context, a asked, org id.Organisation, s signedTree) (line string, err error) {
	old, _, err := l.cosignedBy(ctx, a, org, s.epoch)
	if err != nil {
		return "", err
	}
	for n := range askTimes {
		var seen int64
		line, seen, err = l.post(ctx, a, org, old, s)
		switch {
		case err == nil && seen < 0:
			return line, l.keepLine(ctx, a, org, s, line)
		case err == nil && seen > s.size:
			return "", fault.New(fault.Conflict, "the witness %s has cosigned %d entries of %s, this ledger has %d", a.key.name, seen, s.origin, s.size).
				Hint("was the database restored? carepost doctor says more; entries that another node wrote this second are no reason")
		case err == nil && seen == old:
			return "", fault.New(fault.Conflict, "the witness %s has cosigned another history of %s at %d entries", a.key.name, s.origin, seen).
				Hint("compare an export with the witness's checkpoint: ledger verify --known")
		case err == nil:
			old = seen
		case !fault.Is(err, fault.Unavailable) || n == askTimes-1:
			return "", err
		default:
			select {
			case <-ctx.Done():
				return "", err
			case <-time.After(askPause << n):
			}
		}
	}
	return "", fault.New(fault.Unavailable, "the witness %s names another size each time it is asked", a.key.name)
}

// post makes one request: the line, or the size that the witness has seen (409), -1 with a line.
func (l *Ledger) post(ctx context.Context, a asked, org id.Organisation, old int64, s signedTree) (line string, seen int64, err error) {
	proof, err := l.proofFrom(ctx, org, old, s.size)
	if err != nil {
		return "", 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	body := submission{old: old, proof: proof, note: s.signed}.bytes()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		return "", 0, fmt.Errorf("make a request to a witness: %w", err)
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := l.client.Do(req)
	if err != nil {
		return "", 0, fault.Wrap(fault.Unavailable, err, "the witness %s does not answer", a.key.name).At("%s", a.url)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end, or given up
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxCosigning))
	if err != nil {
		return "", 0, fault.Wrap(fault.Unavailable, err, "the witness %s broke off", a.key.name).At("%s", a.url)
	}
	switch {
	case res.StatusCode == http.StatusOK:
		line, err = a.read(s, answer)
		return line, -1, err
	case res.StatusCode == http.StatusConflict:
		if seen, ok := parseSize(strings.TrimSuffix(string(answer), "\n")); ok {
			return "", seen, nil
		}
	case res.StatusCode >= http.StatusInternalServerError || res.StatusCode == http.StatusTooManyRequests:
		return "", 0, fault.New(fault.Unavailable, "the witness %s answers %d", a.key.name, res.StatusCode).At("%s", a.url)
	}
	return "", 0, fault.New(fault.Conflict, "the witness %s refuses %s: it answers %d", a.key.name, s.origin, res.StatusCode).At("%s", a.url).
		Hint("%s", refusals[res.StatusCode])
}

var refusals = map[int]string{
	http.StatusNotFound:            "it does not know this ledger: give its operator the public key that carepost ledger show prints",
	http.StatusForbidden:           "it knows this ledger by another key: give its operator the one that carepost ledger show prints",
	http.StatusUnprocessableEntity: "it saw another history of this ledger: compare an export with the witness's checkpoint, ledger verify --known",
}

// read takes the witness's line from its answer, if it is one.
func (a asked) read(s signedTree, answer []byte) (string, error) {
	line, at, ok := openCosignature(append(bytes.Clone(s.signed), answer...), a.key)
	if !ok {
		return "", fault.New(fault.Conflict, "what the witness %s answers is not signed by its key", a.key.name).At("%s", a.url).Hint("compare the key in the setting with the one that the witness prints")
	}
	if at.Sub(s.at) > maxAhead {
		return "", fault.New(fault.Conflict, "the clock of the witness %s is ahead by %s", a.key.name, at.Sub(s.at).Round(time.Second)).Hint("set one of the two clocks")
	}
	return line, nil
}

// proofFrom proves that the tree of size grew from that of old. When old is none of its sizes there is nothing to prove: the answer
// to the request will say what is wrong.
func (l *Ledger) proofFrom(ctx context.Context, org id.Organisation, old, size int64) (proof tlog.TreeProof, err error) {
	if old <= 0 || old >= size {
		return nil, nil
	}
	err = l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		proof, err = l.ProveGrowth(ctx, tx, old, size)
		return err
	})
	return proof, err
}

// keepLine stores the checkpoint with the line.
func (l *Ledger) keepLine(ctx context.Context, a asked, org id.Organisation, s signedTree, line string) error {
	err := l.st.Write(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) error {
		at, who := store.Millis(tx.Now), a.key.identity()
		day := store.Millis(tx.Now.Truncate(24 * time.Hour))
		if _, err := tx.Exec(ctx, deleteCosignatures, org, s.epoch, who, s.size, day); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, insertCheckpoint, org, s.epoch, s.size, at, s.signed); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, upsertCosignature, org, s.epoch, s.size, who, line, at)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep a witness's line: %w", err)
	}
	return nil
}

// WitnessState says how far a witness has come with a tree.
type WitnessState struct {
	Witness string    `json:"witness"`
	Size    int64     `json:"size"`        // entries of the newest tree that it cosigned, 0 when it never did
	Behind  int64     `json:"behind"`      // entries since
	Time    time.Time `json:"at,omitzero"` // when it did
}

// Witnessed tells of each witness that is asked how far it has cosigned a tree in its present epoch.
func (l *Ledger) Witnessed(ctx context.Context, org id.Organisation) ([]WitnessState, error) {
	var h head
	err := l.st.Read(ctx, id.System(org), func(ctx context.Context, tx *store.Tx) (err error) {
		h, _, err = readHead(ctx, tx, org, selectHead)
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]WitnessState, 0, len(l.asked))
	for _, a := range l.asked {
		size, at, err := l.cosignedBy(ctx, a, org, h.epoch)
		if err != nil {
			return nil, err
		}
		w := WitnessState{Witness: a.key.name, Size: size, Behind: h.size - size}
		if size > 0 {
			w.Time = at
		}
		all = append(all, w)
	}
	return all, nil
}

// RunWitnesses asks the witnesses at once and then each time the given while has passed, until ctx ends.
func (l *Ledger) RunWitnesses(ctx context.Context, every time.Duration) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if err := l.CosignAll(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "a witness did not cosign", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

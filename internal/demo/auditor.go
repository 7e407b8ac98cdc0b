package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"

	"github.com/carepost/carepost/internal/ledger"
)

// head is what an auditor is given of a ledger.
type head struct {
	PublicKey  string `json:"public_key"`
	Checkpoint string `json:"checkpoint"`
}

// checkpoint gives the ledger's newest checkpoint, as an auditor would put it away.
func (s *story) checkpoint(ctx context.Context) (h head, err error) {
	return h, s.api.get(ctx, "/ledger", nil, &h)
}

// audit does what an auditor does: exports the ledger, takes the file and the public key elsewhere, and verifies them against a
// checkpoint from before anything was sent. Then it changes one byte and expects to be told.
func (s *story) audit(ctx context.Context, known head) (err error) {
	f, err := os.OpenFile(s.place.ledgerTar(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the ledger's export: %w", err)
	}
	if err := errors.Join(s.api.copyTo(ctx, "/ledger/export", f), f.Close()); err != nil {
		return fmt.Errorf("export the ledger: %w", err)
	}
	err = errors.Join(
		os.WriteFile(s.place.auditorKey(), []byte(known.PublicKey+"\n"), 0o600),
		os.WriteFile(s.place.checkpoint(), []byte(known.Checkpoint), 0o600),
	)
	if err != nil {
		return fmt.Errorf("write what the auditor keeps: %w", err)
	}
	raw, err := os.ReadFile(s.place.ledgerTar())
	if err != nil {
		return fmt.Errorf("read the ledger's export: %w", err)
	}
	s.result.Canary.Hits += s.canaries.count(raw)
	s.hold(s.canaries.count(raw) == 0, "the ledger's export names nobody and nothing of them")
	report, err := ledger.Verify(bytes.NewReader(raw), known.PublicKey, []byte(known.Checkpoint))
	s.hold(err == nil, "the ledger verifies offline (%v)", err)
	s.result.Ledger.Entries, s.result.Ledger.Verified = report.Entries, err == nil
	s.report = report
	s.hold(report.KnownSize > 0 && report.KnownSize < report.Entries, "the ledger has grown from the checkpoint that the auditor kept")
	decisions := report.Acts[ledger.ActDecision] + report.Acts[ledger.ActHold]
	s.hold(decisions >= int64(s.result.Audience), "the ledger holds a decision for each message (%d for %d)", decisions, s.result.Audience)
	return s.tamper(raw, known.PublicKey)
}

// tamper changes one byte of one entry.
func (s *story) tamper(raw []byte, key string) error {
	at := bytes.Index(raw, []byte("tile/entries/")) // the name of an archive member; its content follows in the next block of 512 bytes
	const block, room = 512, 1024
	if at < 0 || at+block+room > len(raw) {
		s.hold(false, "the export holds entries")
		return nil
	}
	n, err := rand.Int(rand.Reader, big.NewInt(room))
	if err != nil {
		return fmt.Errorf("choose a byte: %w", err)
	}
	changed := bytes.Clone(raw)
	changed[at+block+int(n.Int64())] ^= 1
	_, err = ledger.Verify(bytes.NewReader(changed), key, nil)
	s.hold(err != nil, "a changed byte of an entry is noticed")
	return nil
}

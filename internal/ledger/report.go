package ledger

import (
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// Report is what an offline verification found.
type Report struct {
	Origin       string          `json:"origin"`
	Organisation id.Organisation `json:"organisation"` // 0: the installation's tree
	Epoch        int64           `json:"epoch"`        // 1, and one more for each restore
	Entries      int64           `json:"entries"`
	Root         string          `json:"root"` // base64, as in the checkpoint
	First        time.Time       `json:"first,omitzero"`
	Last         time.Time       `json:"last,omitzero"` // the latest time in any entry
	Acts         map[Act]int64   `json:"acts"`
	Backwards    []Backwards     `json:"backwards,omitempty"`       // the first maxBackwards of them
	BackwardsAll int64           `json:"backwards_count,omitempty"` // all
	Restores     []Restore       `json:"restores,omitempty"`
	Details      Details         `json:"details"`
	KnownSize    int64           `json:"known_size,omitempty"` // of the known checkpoint, when one was given
	Witnesses    []Cosignature   `json:"witnesses,omitempty"`  // of the witnesses asked for
	Latest       string          `json:"latest"`               // NotProvenLatest, or what the known checkpoint proves
}

// NotProvenLatest is what a verification without a known checkpoint has to say: an older, shorter export verifies as well.
const NotProvenLatest = "not proven latest: no checkpoint known from before was given"

// Backwards is an entry whose time is more than backwardsTolerance before that of an entry in front of it.
type Backwards struct {
	Entry int64         `json:"entry"`
	By    time.Duration `json:"by_ns"`
}

// Restore is an entry that admits a loss.
type Restore struct {
	Entry int64     `json:"entry"`
	Time  time.Time `json:"time"`
	Lost
}

// Details counts the opened details in an export that carries them; each was checked against its entry.
type Details struct {
	Opened int64 `json:"opened"`
	Closed int64 `json:"closed"` // there is a detail, and it is not in the export or its key is destroyed
}

const (
	// Entries are in the order of their commits, not of their clocks: nodes differ and transactions overlap.
	backwardsTolerance = 10 * time.Second
	maxBackwards       = 100
)

// Flaw is the kind of what is wrong with an export.
type Flaw string

// The flaws.
const (
	FlawFile      Flaw = "file"      // the archive is not an export: a file is missing, extra, out of place or misshapen
	FlawTruncated Flaw = "truncated" // the archive ends before its checkpoint does
	FlawSignature Flaw = "signature" // the checkpoint was changed after it was signed
	FlawKey       Flaw = "key"       // the checkpoint was signed by another key, or for another ledger
	FlawLeaf      Flaw = "leaf"      // an entry is not the one that was recorded
	FlawMissing   Flaw = "missing"   // an entry is missing
	FlawExtra     Flaw = "extra"     // there are more entries than were recorded
	FlawTile      Flaw = "tile"      // a tile does not hold the hashes of what is below it
	FlawRoot      Flaw = "root"      // the entries are not those that the checkpoint was signed over
	FlawFork      Flaw = "fork"      // the known checkpoint is of another history
	FlawOlder     Flaw = "older"     // the export is older than the known checkpoint
	FlawDetail    Flaw = "detail"    // an opened detail is not the one that its entry commits to
	FlawWitness   Flaw = "witness"   // a witness that was asked for has not cosigned it
	FlawRestore   Flaw = "restore"   // the epoch does not fit the restores that the entries admit
)

// FlawError says what is wrong with an export and where.
type FlawError struct {
	Flaw  Flaw
	Entry int64  // the first entry concerned, counted from 0; -1 when no entry can be named
	File  string // of the archive; empty when no file can be named
	Text  string
}

// Error gives the whole.
func (e *FlawError) Error() string {
	where := e.File
	if e.Entry >= 0 {
		if where != "" {
			where += ", "
		}
		where += fmt.Sprintf("entry %d", e.Entry)
	}
	if where != "" {
		where += ": "
	}
	return where + e.Text
}

// Unwrap gives the same as a fault, so that faces show it.
func (e *FlawError) Unwrap() error { return fault.New(fault.Invalid, "%s", e.Error()) }

func flawf(kind Flaw, entry int64, file, format string, args ...any) error {
	return &FlawError{Flaw: kind, Entry: entry, File: file, Text: fmt.Sprintf(format, args...)}
}

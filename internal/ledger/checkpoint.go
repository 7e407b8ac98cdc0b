package ledger

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// checkpoint is a tree head as C2SP tlog-checkpoint has it: origin, size, root; no extension lines.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

const maxCheckpoint = 64 << 10 // of a signed checkpoint with all its witnesses' lines

func (c checkpoint) text() string {
	return c.origin + "\n" + strconv.FormatInt(c.size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.root[:]) + "\n"
}

func parseCheckpoint(text string) (checkpoint, error) {
	bad := fault.New(fault.Invalid, "not a checkpoint").Hint("its text is three lines: origin, size and root")
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] == "" {
		return checkpoint{}, bad
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return checkpoint{}, bad
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return checkpoint{}, bad
	}
	return checkpoint{origin: lines[0], size: size, root: root}, nil
}

// treeOrigin names one tree: the installation's origin, the organisation's number and, after a restore was reopened, the
// epoch: a witness that saw the lost range must not take the new tree for the old one.
func treeOrigin(base string, org id.Organisation, epoch int64) string {
	origin := base + "/" + strconv.FormatUint(uint64(org), 10)
	if epoch > 1 {
		origin += "/" + strconv.FormatInt(epoch, 10)
	}
	return origin
}

// parseTreeOrigin takes a tree's origin apart, given the installation's.
func parseTreeOrigin(base, origin string) (org id.Organisation, epoch int64, ok bool) {
	rest, ok := strings.CutPrefix(origin, base+"/")
	if !ok {
		return 0, 0, false
	}
	number, after, more := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(number, 10, 32)
	epoch = 1
	if err == nil && more {
		epoch, err = strconv.ParseInt(after, 10, 64)
	}
	org = id.Organisation(n)
	return org, epoch, err == nil && treeOrigin(base, org, epoch) == origin
}

var errOtherKey = errors.New("signed by another key")

// openCheckpoint checks the signature of a checkpoint against the installation's public key, or against the same key under the
// tree's own name, as witnesses know it.
func openCheckpoint(msg []byte, pub publicKey) (c checkpoint, org id.Organisation, epoch int64, err error) {
	origin, _, _ := strings.Cut(string(msg), "\n")
	org, epoch, ok := parseTreeOrigin(pub.origin, origin)
	for base := pub.origin; !ok && origin == pub.origin && strings.Contains(base, "/"); {
		base = base[:strings.LastIndexByte(base, '/')]
		org, epoch, ok = parseTreeOrigin(base, origin)
	}
	if !ok {
		return c, 0, 0, fault.New(fault.Invalid, "the checkpoint is of another ledger").Hint("the key given is of %s", pub.origin)
	}
	v, err := pub.verifier(origin)
	if err != nil {
		return c, 0, 0, err
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		if _, other := errors.AsType[*note.UnverifiedNoteError](err); other {
			return c, 0, 0, errOtherKey
		}
		return c, 0, 0, err
	}
	c, err = parseCheckpoint(n.Text)
	return c, org, epoch, err
}

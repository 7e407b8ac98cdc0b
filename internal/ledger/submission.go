package ledger

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/fault"
)

// submission is what a log hands a witness: the size that the witness saw last, the proof that the tree grew from it, and the new
// checkpoint. C2SP tlog-witness, add-checkpoint.
type submission struct {
	old   int64
	proof tlog.TreeProof
	note  []byte
}

const (
	maxProof      = 63                        // lines, as the specification has it
	maxSubmission = maxCheckpoint + 64*maxLen // bytes
	maxLen        = 64                        // of a line of the proof or of the size, more than they need
)

// bytes gives the request's body.
func (s submission) bytes() []byte {
	b := []byte("old " + strconv.FormatInt(s.old, 10) + "\n")
	for _, h := range s.proof {
		b = append(b, h.String()...)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, s.note...)
}

// parseSubmission reads a request's body. It believes nothing of it yet.
func parseSubmission(b []byte) (s submission, err error) {
	bad := fault.New(fault.Invalid, "not a submission to a witness").Hint("it is: old SIZE, up to 63 hashes, an empty line, a signed checkpoint (C2SP tlog-witness)")
	if len(b) > maxSubmission {
		return s, bad
	}
	head, signed, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok || len(signed) == 0 {
		return s, bad
	}
	lines := strings.Split(string(head), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	if !ok || len(lines)-1 > maxProof {
		return s, bad
	}
	if s.old, ok = parseSize(size); !ok {
		return s, bad
	}
	for _, line := range lines[1:] {
		raw, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize {
			return s, bad
		}
		s.proof = append(s.proof, tlog.Hash(raw))
	}
	s.note = signed
	return s, nil
}

// parseSize reads a size as the specification writes it: decimal, no sign, no leading zero.
func parseSize(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == text
}

// proves tells whether the proof leads from one tree to the other.
func (s submission) proves(from, to checkpoint) bool {
	switch {
	case to.size == 0:
		return len(s.proof) == 0 && to.root == emptyRoot
	case from.size == 0:
		return len(s.proof) == 0
	case from.size == to.size:
		return len(s.proof) == 0 && from.root == to.root
	}
	return tlog.CheckTree(s.proof, to.size, to.root, from.size, from.root) == nil
}

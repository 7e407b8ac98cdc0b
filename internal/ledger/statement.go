package ledger

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/carepost/carepost/internal/fault"
)

// statementMark begins every statement. No checkpoint begins so: an origin has no capital letter and no space.
const statementMark = "Carepost "

// maxStatement bounds what VerifyStatement reads.
const maxStatement = 1 << 20

// SignStatement signs a text of ours, as C2SP signed-note has it, with the installation's key under its own name: a certificate of
// destruction. A text that could be taken for a checkpoint is refused.
func (l *Ledger) SignStatement(text string) ([]byte, error) {
	if !strings.HasPrefix(text, statementMark) || !strings.HasSuffix(text, "\n") {
		return nil, fault.New(fault.Internal, "not a statement that may be signed")
	}
	signer, err := newTreeSigner(l.signer.origin, l.signer)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign a statement: %w", err)
	}
	return signed, nil
}

// VerifyStatement gives the text of a statement that the key's holder signed. It needs nothing but the statement and the key.
func VerifyStatement(signed []byte, key string) (text, origin string, err error) {
	pub, err := parsePublicKey(key)
	if err != nil {
		return "", "", err
	}
	v, err := pub.verifier(pub.origin)
	if err != nil {
		return "", "", err
	}
	bad := fault.New(fault.Invalid, "not a statement signed with this key").Hint("it was changed, or signed by another installation: compare the key with the one in hand")
	if len(signed) > maxStatement {
		return "", "", bad
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil || !strings.HasPrefix(n.Text, statementMark) {
		return "", "", bad
	}
	return n.Text, pub.origin, nil
}

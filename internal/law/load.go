package law

import (
	"bytes"
	"encoding/json"
	"io"

	"golang.org/x/mod/sumdb/note"

	"github.com/carepost/carepost/internal/fault"
)

// maxBytes bounds a law file: the embedded one is about 30 kB.
const maxBytes = 4 << 20

// fileShape is law.json: the day it was compiled, rows, and the holidays of states that their statutes exclude.
type fileShape struct {
	AsOf     Date      `json:"as_of"`
	Rows     []Row     `json:"rows"`
	Holidays []Holiday `json:"holidays,omitempty"`
}

// Load reads a law file that replaces the embedded table: the same JSON as a signed note (Ed25519, C2SP signed-note). The
// verifier is the text of the public key, "name+hash+base64". A file older than the embedded table is refused, so that an old
// signature cannot bring an old law back.
func Load(signed []byte, verifier string) (*Table, error) {
	if len(signed) > maxBytes {
		return nil, fault.New(fault.TooLarge, "the law file is over %d bytes", maxBytes)
	}
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "not the public key of a law file").Hint("it reads name+hash+key")
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the law file is not signed by %s", v.Name())
	}
	t, err := parse([]byte(n.Text))
	if err != nil {
		return nil, err
	}
	if t.asOf < Embedded().asOf {
		return nil, fault.New(fault.Conflict, "the law file is of %s, older than this release's %s", t.asOf, Embedded().asOf)
	}
	for _, r := range Embedded().rows {
		if _, ok := t.byKey[key{r.ID, r.Where}]; !ok {
			return nil, fault.New(fault.Invalid, "the law file lacks row %s %s", r.ID, r.Where).Hint("end a rule with a date or a status; never leave it out")
		}
	}
	t.signer = v.Name()
	return t, nil
}

func parse(data []byte) (*Table, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var f fileShape
	if err := d.Decode(&f); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the law file does not read as JSON of the known shape")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fault.New(fault.Invalid, "the law file goes on after its end")
	}
	return build(f)
}

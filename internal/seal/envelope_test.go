package seal

import (
	"bytes"
	"crypto/fips140"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"pgregory.net/rapid"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// hexBytes reads the vectors' hexadecimal.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type vectors struct {
	Envelopes []struct {
		Name                         string
		Key, Row, Plain, AAD, Sealed hexBytes
		Number                       uint32
		Flags                        byte
		Table, Column                string
		Organisation                 id.Organisation
	}
	Macs []struct {
		Key, Sum hexBytes
		Name     string
		Parts    []hexBytes
	}
	Blinds []struct {
		Key, Sum    hexBytes
		Kind, Value string
	}
	Tokens []struct {
		Kind               string
		Key, Object, Extra hexBytes
		Number             uint32
		Organisation       id.Organisation
		Text               string
	}
	Addresses []struct {
		Kind         string
		Key, Object  hexBytes
		Organisation id.Organisation
		Text         string
	}
	Ring hexBytes
	Tree struct {
		Organisation                            id.Organisation
		Number                                  uint32
		Bucket, Subject, Wrapped, Sealed, Plain hexBytes
		Table, Column                           string
	}
}

// known reads the answers that testdata/vectors.py made without our code.
func known(t testing.TB) (v vectors) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEnvelopesOfAnotherImplementationOpen(t *testing.T) {
	for _, v := range known(t).Envelopes {
		t.Run(v.Name, func(t *testing.T) {
			key := Key{newSecret(v.Number, v.Flags&^flagPadded, v.Organisation, (*keyBytes)(v.Key))}
			cell := Cell{v.Table, v.Column, v.Row}
			got, err := key.Open(cell, v.Sealed)
			if err != nil || !bytes.Equal(got, v.Plain) {
				t.Fatalf("%x %v, want %x", got, err, []byte(v.Plain))
			}
			if aad := associated(header{v.Number, v.Flags}, cell, v.Organisation); !bytes.Equal(aad, v.AAD) {
				t.Errorf("associated data\n%x, want\n%x", aad, []byte(v.AAD))
			}
			ours, err := key.Seal(cell, v.Plain)
			if err != nil || len(ours) != len(v.Sealed) || !bytes.Equal(ours[:headerSize], v.Sealed[:headerSize]) {
				t.Errorf("we seal it as %x (%v), they as %x", ours, err, []byte(v.Sealed))
			}
		})
	}
}

func TestDerivationsAsAnotherImplementation(t *testing.T) {
	v := known(t)
	for _, m := range v.Macs {
		parts := make([][]byte, len(m.Parts))
		for i, p := range m.Parts {
			parts[i] = p
		}
		for range 2 { // the second time with a state that was used
			key := Key{newSecret(1, 0, 1, (*keyBytes)(m.Key))}
			if sum := key.MAC(m.Name, parts...); !bytes.Equal(sum[:], m.Sum) {
				t.Errorf("MAC of %q %x: %x", m.Name, parts, sum)
			}
		}
	}
	for _, b := range v.Blinds {
		if sum := blindSum(newBlindPool(b.Key, b.Kind), b.Value); !bytes.Equal(sum, b.Sum) {
			t.Errorf("blind of a %s: %x, want %x", b.Kind, sum, []byte(b.Sum))
		}
	}
}

func TestTokensOfAnotherImplementation(t *testing.T) {
	v := known(t)
	kinds := map[string]TokenKind{"pickup": TokenPickup, "unsubscribe": TokenUnsubscribe, "hit": TokenHit, "form": TokenForm}
	for _, tok := range v.Tokens {
		k := &Keys{tokens: map[uint32]*secret{tok.Number: newSecret(tok.Number, 0, 0, (*keyBytes)(tok.Key))}}
		for name, kind := range kinds {
			org, object, extra, err := k.OpenToken(kind, tok.Text)
			if name != tok.Kind {
				if !fault.Is(err, fault.NotFound) {
					t.Errorf("a %s token opened as %s: %v", tok.Kind, name, err)
				}
				continue
			}
			if err != nil || org != tok.Organisation || object != id.UUID(tok.Object) || !bytes.Equal(extra, tok.Extra) {
				t.Errorf("%s: %v %v %x %v", tok.Kind, org, object, extra, err)
			}
		}
	}
	for _, a := range v.Addresses {
		k := &Keys{address: []*secret{newSecret(1, 0, 0, (*keyBytes)(a.Key))}}
		kind, other := AddressBounce, AddressReply
		if a.Kind == "reply" {
			kind, other = other, kind
		}
		if got := k.MintAddress(kind, a.Organisation, id.UUID(a.Object)); got != a.Text {
			t.Errorf("%s address %s, want %s", a.Kind, got, a.Text)
		}
		if _, _, err := k.OpenAddress(other, a.Text); !fault.Is(err, fault.NotFound) {
			t.Errorf("a %s address opened as the other kind: %v", a.Kind, err)
		}
	}
}

// Tink's AES-GCM without a prefix is nonce | ciphertext | tag: what follows our header.
func TestTinkOpensOursAndWeTinks(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("Tink calls GCM with a nonce of its own, which this mode refuses")
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), keySize, keySize).Draw(t, "key")
		tink, err := subtle.NewAESGCM(bytes.Clone(raw))
		if err != nil {
			t.Fatal(err)
		}
		number, org := rapid.Uint32().Draw(t, "number"), id.Organisation(rapid.Uint32().Draw(t, "organisation"))
		key, cell := Key{newSecret(number, 0, org, (*keyBytes)(raw))}, drawCell(t)
		plain := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "plain")
		sealed, err := key.Seal(cell, plain)
		if err != nil {
			t.Fatal(err)
		}
		h, err := parseHeader(sealed)
		if err != nil {
			t.Fatal(err)
		}
		aad := associated(h, cell, org)
		theirs, err := tink.Decrypt(sealed[headerSize:], aad)
		if err != nil || !bytes.HasPrefix(theirs, plain) {
			t.Fatalf("Tink opens ours to %x: %v", theirs, err)
		}
		again, err := tink.Encrypt(theirs, aad)
		if err != nil {
			t.Fatal(err)
		}
		got, err := key.Open(cell, append(sealed[:headerSize:headerSize], again...))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("we open Tink's to %x: %v", got, err)
		}
	})
}

func drawCell(t *rapid.T) Cell {
	name := rapid.StringMatching(`[a-z_]{0,20}`)
	return Cell{name.Draw(t, "table"), name.Draw(t, "column"), rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "row")}
}

func TestAValueOpensInItsPlaceOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), keySize, keySize).Draw(t, "key")
		org := id.Organisation(rapid.Uint32().Draw(t, "organisation"))
		flags := rapid.SampledFrom([]byte{0, flagSubject}).Draw(t, "flags")
		key, cell := Key{newSecret(7, flags, org, (*keyBytes)(raw))}, drawCell(t)
		plain := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "plain")
		sealed, err := key.Seal(cell, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := key.Open(cell, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("round trip: %x %v", got, err)
		}
		if len(plain) <= maxPadded && (len(sealed)-Overhead)%padStep != 0 {
			t.Errorf("%d bytes are sealed as %d", len(plain), len(sealed))
		}
		bit := rapid.IntRange(0, len(sealed)*8-1).Draw(t, "bit")
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		cut := sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")]
		for what, try := range map[string]func() ([]byte, error){
			"a changed bit": func() ([]byte, error) { return key.Open(cell, changed) },
			"a cut end":     func() ([]byte, error) { return key.Open(cell, cut) },
			"a longer end":  func() ([]byte, error) { return key.Open(cell, append(bytes.Clone(sealed), 0)) },
			"another table": func() ([]byte, error) { return key.Open(Cell{cell.Table + "x", cell.Column, cell.Row}, sealed) },
			"another column": func() ([]byte, error) {
				return key.Open(Cell{cell.Table, cell.Column + "x", cell.Row}, sealed)
			},
			"another row": func() ([]byte, error) {
				return key.Open(Cell{cell.Table, cell.Column, append(bytes.Clone(cell.Row), 0)}, sealed)
			},
			"a table's end moved to the column": func() ([]byte, error) {
				return key.Open(Cell{cell.Table + "a", "b" + cell.Column, cell.Row}, sealed)
			},
			"another organisation": func() ([]byte, error) { return Key{newSecret(7, flags, org+1, (*keyBytes)(raw))}.Open(cell, sealed) },
			"another key": func() ([]byte, error) {
				return Key{newSecret(7, flags, org, (*keyBytes)(make([]byte, keySize)))}.Open(cell, sealed)
			},
			"another key id": func() ([]byte, error) { return Key{newSecret(8, flags, org, (*keyBytes)(raw))}.Open(cell, sealed) },
			"another sort of key": func() ([]byte, error) {
				return Key{newSecret(7, flags^flagSubject, org, (*keyBytes)(raw))}.Open(cell, sealed)
			},
		} {
			if what == "another key" && bytes.Equal(raw, make([]byte, keySize)) {
				continue
			}
			if got, err := try(); !fault.Is(err, fault.Sealed) || got != nil {
				t.Errorf("%s: %x %v", what, got, err)
			}
		}
	})
}

func TestSmallValuesOfManyLengthsLookAlike(t *testing.T) {
	key := Key{newSecret(1, 0, 1, (*keyBytes)(newKey()))}
	for _, c := range []struct{ plain, sealed int }{{0, 32}, {3, 32}, {12, 32}, {31, 32}, {32, 64}, {4096, 4128}, {4097, 4097}} {
		got, err := key.Seal(Cell{"t", "c", nil}, make([]byte, c.plain))
		if err != nil || len(got) != c.sealed+Overhead {
			t.Errorf("%d bytes: %d %v", c.plain, len(got)-Overhead, err)
		}
	}
}

func TestTwoSealsDiffer(t *testing.T) {
	key := Key{newSecret(1, 0, 1, (*keyBytes)(newKey()))}
	a, err := key.Seal(Cell{"t", "c", nil}, []byte("same"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := key.Seal(Cell{"t", "c", nil}, []byte("same"))
	if err != nil || bytes.Equal(a, b) {
		t.Error("two seals of one value are equal", err)
	}
}

func TestTheZeroKeyRefuses(t *testing.T) {
	var none Key
	if _, err := none.Seal(Cell{}, nil); !fault.Is(err, fault.Sealed) {
		t.Error(err)
	}
	if _, err := none.Open(Cell{}, make([]byte, 100)); !fault.Is(err, fault.Sealed) {
		t.Error(err)
	}
	if !none.IsZero() || none.MAC("x") != [32]byte{} {
		t.Error("the zero key does something")
	}
}

func TestTooLarge(t *testing.T) {
	key := Key{newSecret(1, 0, 1, (*keyBytes)(newKey()))}
	if _, err := key.Seal(Cell{}, make([]byte, maxPlain+1)); !fault.Is(err, fault.TooLarge) {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	raw := bytes.Repeat([]byte{7}, keySize)
	for _, v := range known(f).Envelopes {
		f.Add([]byte(v.Sealed))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		h, err := parseHeader(sealed)
		if err != nil {
			return
		}
		// Under the key that it names: only a true envelope may open, and its plaintext is shorter than it.
		got, err := Key{newSecret(h.key, h.flags&^flagPadded, 1, (*keyBytes)(bytes.Clone(raw)))}.Open(Cell{"t", "c", nil}, sealed)
		if err == nil {
			t.Fatalf("%x opens to %x", sealed, got)
		}
		// What unpad takes, pad gives back.
		if plain, err := unpad(sealed); err == nil && !bytes.Equal(pad(plain, len(sealed)), sealed) {
			t.Fatalf("padding of %x", sealed)
		}
	})
}

func FuzzOpenToken(f *testing.F) {
	k := &Keys{tokens: map[uint32]*secret{}}
	for _, v := range known(f).Tokens {
		k.tokens[v.Number] = newSecret(v.Number, 0, 0, (*keyBytes)(v.Key))
		f.Add(v.Text)
		f.Add(v.Text + "=")
		f.Add(v.Text + "\n")
	}
	good := map[string]bool{}
	for _, v := range known(f).Tokens {
		good[v.Text] = true
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil && len(b) >= headerSize && k.tokens[uint32(b[1])<<24|uint32(b[2])<<16|uint32(b[3])<<8|uint32(b[4])] == nil {
			return // would ask the database
		}
		for _, kind := range []TokenKind{0, TokenPickup, TokenUnsubscribe, TokenHit, TokenForm, 9} {
			if _, _, _, err := k.OpenToken(kind, text); err == nil && !good[text] {
				t.Fatalf("%q opens", text)
			}
		}
	})
}

func FuzzOpenAddress(f *testing.F) {
	k := &Keys{address: []*secret{newSecret(1, 0, 0, (*keyBytes)(known(f).Addresses[0].Key))}}
	for _, v := range known(f).Addresses {
		f.Add(v.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []AddressKind{0, AddressBounce, AddressReply, 9} {
			org, object, err := k.OpenAddress(kind, text)
			if err == nil && !bytes.EqualFold([]byte(k.MintAddress(kind, org, object)), []byte(text)) {
				t.Fatalf("%q opens", text)
			}
		}
	})
}

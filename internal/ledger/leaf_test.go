package ledger

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/id"
)

func sampleLeaf() Leaf {
	l := Leaf{
		Time: time.UnixMilli(1_790_000_000_123).UTC(), Organisation: 7, Actor: id.Actor{Kind: id.ActorUser},
		Act: ActDisclosure, Purpose: PurposeTreatment,
	}
	for i := range 16 {
		l.Actor.ID[i], l.Subject[i], l.Object[i] = byte(0x10+i), byte(0x20+i), byte(0x30+i)
	}
	for i := range l.Commit {
		l.Commit[i] = byte(0x40 + i)
	}
	return l
}

// The bytes that docs/formats/leaf.md shows.
func TestLeafVector(t *testing.T) {
	const want = "01" + "000001a0c4506c7b" + "00000007" + "02" + "101112131415161718191a1b1c1d1e1f" + "0002" + "01" +
		"202122232425262728292a2b2c2d2e2f" + "303132333435363738393a3b3c3d3e3f" +
		"404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
	got := sampleLeaf().Bytes()
	if hex.EncodeToString(got) != want {
		t.Errorf("the leaf is\n%x, it was published as\n%s", got, want)
	}
	if h := tlog.RecordHash(got).String(); h != "vKPkoiQF4Lh1XLDzzXulCiLyLOsgdCw8Fw52mz/HPXs=" {
		t.Errorf("its hash is %s", h)
	}
	back, err := ParseLeaf(got)
	if err != nil || back != sampleLeaf() {
		t.Errorf("it reads as %+v, %v", back, err)
	}
}

func TestParseLeafRefuses(t *testing.T) {
	good := sampleLeaf().Bytes()
	for name, b := range map[string][]byte{
		"nothing": nil, "short": good[:96], "long": append(bytes.Clone(good), 0), "version 0": append([]byte{0}, good[1:]...), "version 2": append([]byte{2}, good[1:]...),
	} {
		if _, err := ParseLeaf(b); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestLostTravelsInTheObject(t *testing.T) {
	want := Lost{From: 12, To: 1 << 40}
	if got := (Leaf{Object: want.object()}).Lost(); got != want {
		t.Errorf("%+v", got)
	}
}

func FuzzParseLeaf(f *testing.F) {
	f.Add(sampleLeaf().Bytes())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLeaf(b)
		if err == nil && !bytes.Equal(l.Bytes(), b) {
			t.Errorf("%x reads as a leaf of %x", b, l.Bytes())
		}
	})
}

func TestDetailHasOneEncoding(t *testing.T) {
	d := Detail{"reason": "restricted", "message": "msg_1", "": "empty name", "empty value": ""}
	opening, commit, err := d.opening()
	if err != nil {
		t.Fatal(err)
	}
	back, err := openingMatches(opening, commit)
	if err != nil || len(back) != len(d) || back["reason"] != "restricted" || back[""] != "empty name" {
		t.Fatal(back, err)
	}
	again, commit2, err := d.opening()
	if err != nil || bytes.Equal(again, opening) || commit2 == commit || !bytes.Equal(again[openerSize:], opening[openerSize:]) {
		t.Error("two openings of one detail differ in r and in nothing else")
	}
	again[len(again)-1] ^= 1
	if _, err := openingMatches(again, commit2); err == nil {
		t.Error("another detail was taken for the one committed to")
	}
	if _, err := openingMatches(opening[:openerSize-1], commit); err == nil {
		t.Error("half an opening was taken")
	}
}

func TestDetailVector(t *testing.T) {
	b, err := Detail{"reason": "x", "a": ""}.append(nil)
	if want := "0102" + "0161" + "00" + "06726561736f6e" + "0178"; err != nil || hex.EncodeToString(b) != want {
		t.Errorf("the detail is %x (%v), it was published as %s", b, err, want)
	}
}

func TestDetailRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "version": "0200", "count over": "0101", "order": "0102016200016100", "twice": "0102016100016100",
		"long number": "01818000016100", "after the end": "010000", "breaks off": "010105616263",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(name, err)
		}
		if d, err := parseDetail(b); err == nil {
			t.Errorf("%s was taken as %v", name, d)
		}
	}
	if _, err := (Detail{"x": string(make([]byte, detailMaxBytes))}).append(nil); err == nil {
		t.Error("an endless detail was taken")
	}
}

func FuzzParseDetail(f *testing.F) {
	b, _ := Detail{"reason": "x", "a": ""}.append(nil)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDetail(b)
		if err != nil {
			return
		}
		if again, err := d.append(nil); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x reads as a detail of %x (%v)", b, again, err)
		}
	})
}

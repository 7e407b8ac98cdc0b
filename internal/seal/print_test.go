package seal

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"
)

// Whatever is printed in whatever way, no byte of a key is in it.
func TestNothingPrintsAKey(t *testing.T) {
	_, ring := makeRing(t)
	raw := bytes.Clone(ring.epochs[0].key[:])
	key := Key{newSecret(1, 0, 1, (*keyBytes)(raw))}
	keys := &Keys{ring: ring, byID: map[uint32]*secret{1: key.s}, token: key.s, address: []*secret{key.s}}
	key.MAC("warm") // the derived key is kept then
	derived := derive(raw, "mac")
	type holder struct {
		Key    Key
		Ring   *Ring
		hidden Key // fmt may not ask an unexported field for its Format
		ring   *Ring
		keys   *Keys
	}
	var out bytes.Buffer
	for _, v := range []any{key, &key, ring, keys, holder{key, ring, key, ring, keys}, &holder{key, ring, key, ring, keys}, []Key{key}, map[string]Key{"a": key}, fmt.Errorf("with %v", key)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Error(err)
		}
		for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
			log.LogAttrs(context.Background(), slog.LevelInfo, "key", slog.Any("v", v))
		}
		if err := template.Must(template.New("").Parse("{{.}}\n")).Execute(&out, v); err != nil {
			t.Error(err)
		}
	}
	text := out.String()
	for name, secret := range map[string][]byte{"the key": raw, "the MAC key": derived} {
		for how, form := range map[string]string{
			"raw":         string(secret[:8]),
			"hexadecimal": hex.EncodeToString(secret[:8]),
			"HEXADECIMAL": strings.ToUpper(hex.EncodeToString(secret[:8])),
			"base64":      base64.StdEncoding.EncodeToString(secret[:6]),
			"decimal":     strings.Trim(fmt.Sprintf("%d", secret[:6]), "[]"),
			"Go":          strings.TrimPrefix(strings.TrimSuffix(fmt.Sprintf("%#v", secret[:6]), "}"), "[]byte{"),
		} {
			if strings.Contains(text, form) {
				t.Errorf("%s was printed, %s", name, how)
			}
		}
	}
	if n := strings.Count(text, redacted); n < 50 {
		t.Errorf("%q was printed %d times: the test looks at nothing", redacted, n)
	}
	for _, s := range []fmt.Stringer{key, ring, keys} {
		if s.String() != redacted {
			t.Errorf("%T says %s", s, s)
		}
	}
}

package file

import (
	"reflect"
	"testing"
)

func FuzzAbout(f *testing.F) {
	f.Add(About{Name: "a.csv", Media: "text/csv", Size: 300, Digest: [32]byte{1}}.encode())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(a.encode())
		if err != nil || !reflect.DeepEqual(a, again) {
			t.Errorf("%+v reads as %+v: %v", a, again, err)
		}
	})
}

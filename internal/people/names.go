package people

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// NameIndex finds people by the beginnings of their names. It lives in memory only: an index of names on disk, however blinded,
// falls to counting. Build makes it, Follow keeps it; both may run while it is asked.
type NameIndex struct {
	mu   sync.RWMutex
	base []nameEntry // sorted
	more []nameEntry // sorted; joins base when it has grown
	of   map[id.Person][]string
}

type nameEntry struct {
	key    string // normal
	person id.Person
}

func compareNames(a, b nameEntry) int {
	return cmp.Or(cmp.Compare(a.key, b.key), bytes.Compare(a.person[:], b.person[:]))
}

// maxMore is how many entries wait beside the base before both are joined.
const maxMore = 4096

// BuildNames makes the index of everyone in use.
func (p *People) BuildNames(ctx context.Context, tx *store.Tx) (*NameIndex, error) {
	x := &NameIndex{of: map[id.Person][]string{}}
	err := p.scan(ctx, tx, scanCores, func(page []sealedRow) error {
		keys, err := openAll(page, func() func(r *sealedRow) ([]string, error) { return openNames })
		if err != nil {
			return err
		}
		for i := range page {
			x.of[page[i].person] = keys[i]
			for _, k := range keys[i] {
				x.base = append(x.base, nameEntry{k, page[i].person})
			}
		}
		return nil
	})
	slices.SortFunc(x.base, compareNames)
	return x, err
}

// FollowNames brings some people's names up to date; those who are merged or gone are forgotten.
func (p *People) FollowNames(ctx context.Context, tx *store.Tx, x *NameIndex, ids []id.Person) error {
	page, err := p.page(ctx, tx, selectCores, tx.Organisation(), store.Blobs(ids))
	if err != nil {
		return err
	}
	keys, err := openAll(page, func() func(r *sealedRow) ([]string, error) { return openNames })
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, person := range ids {
		x.forget(person)
	}
	for i := range page {
		x.of[page[i].person] = keys[i]
		for _, k := range keys[i] {
			e := nameEntry{k, page[i].person}
			at, _ := slices.BinarySearchFunc(x.more, e, compareNames)
			x.more = slices.Insert(x.more, at, e)
		}
	}
	if len(x.more) > maxMore {
		x.base = append(x.base, x.more...)
		slices.SortFunc(x.base, compareNames)
		x.more = nil
	}
	return nil
}

func (x *NameIndex) forget(person id.Person) {
	for _, k := range x.of[person] {
		e := nameEntry{k, person}
		for _, list := range []*[]nameEntry{&x.base, &x.more} {
			if at, found := slices.BinarySearchFunc(*list, e, compareNames); found {
				*list = slices.Delete(*list, at, at+1)
			}
		}
	}
	delete(x.of, person)
}

func openNames(r *sealedRow) ([]string, error) {
	record, err := openRecord(r.key, coreCell(r.person), r.sealed, &CoreRecord{})
	if err != nil {
		return nil, err
	}
	return nameKeys(unpackNames(record.GetProfile().GetNames())), nil
}

// nameKeys gives what a person's names are found by: family name first, and given name first; each once.
func nameKeys(names []Name) []string {
	var keys []string
	for _, n := range names {
		given, family := NormalName(strings.Join(n.Given, " ")), NormalName(n.Family)
		for _, k := range []string{strings.TrimSpace(family + " " + given), strings.TrimSpace(given + " " + family)} {
			if k != "" && !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// Find gives up to limit people whose name begins so: each word of the text is the beginning of a word of the name, the first word
// of the first family or given name. "oka am" finds Amara Okafor.
func (x *NameIndex) Find(text string, limit int) []id.Person {
	words := strings.Fields(NormalName(text))
	if len(words) == 0 || limit <= 0 {
		return nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	seen := map[id.Person]bool{}
	var found []id.Person
	for _, list := range [][]nameEntry{x.base, x.more} {
		at, _ := slices.BinarySearchFunc(list, nameEntry{key: words[0]}, compareNames)
		for ; at < len(list) && strings.HasPrefix(list[at].key, words[0]) && len(found) < limit; at++ {
			e := list[at]
			if !seen[e.person] && hasWords(e.key, words) {
				seen[e.person] = true
				found = append(found, e.person)
			}
		}
	}
	return found
}

func hasWords(key string, words []string) bool {
	parts := strings.Fields(key)
	for _, w := range words {
		at := slices.IndexFunc(parts, func(p string) bool { return strings.HasPrefix(p, w) })
		if at < 0 {
			return false
		}
		parts = slices.Delete(parts, at, at+1)
	}
	return true
}

// Len gives the number of people in the index.
func (x *NameIndex) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.of)
}

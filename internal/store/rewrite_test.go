package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

func TestQuestionMarksBecomeNumbers(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{``, ``},
		{`select 1`, `select 1`},
		{`select ?, ?`, `select $1, $2`},
		{`select '?', ? from "a?b" where x = '''?''' and y = ?`, `select '?', $1 from "a?b" where x = '''?''' and y = $2`},
		{"select ? -- why?\n, ?", "select $1 -- why?\n, $2"},
		{`select /* ? */ ? /* '?`, `select /* ? */ $1 /* '?`},
		{`select '?`, `select '?`},
		{`select 1 - ? / ?`, `select 1 - $1 / $2`},
		{`values (?,?,?,?,?,?,?,?,?,?,?)`, `values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`},
		{`select 'ü?' || ?`, `select 'ü?' || $1`},
	} {
		if got := store.Number(c.in); got != c.out {
			t.Errorf("%s\n gives %s\n want  %s", c.in, got, c.out)
		}
	}
}

// FuzzNumber checks against an independent reading, character by character, with a state.
func FuzzNumber(f *testing.F) {
	f.Add(`select '?', ? from "a?b" -- ?` + "\n /* ? */ where x = '''?'")
	f.Fuzz(func(t *testing.T, query string) {
		got := store.Number(query)
		if want := numberedByState(query); got != want {
			t.Errorf("%q\n gives %q\n want  %q", query, got, want)
		}
	})
}

func numberedByState(q string) string {
	var out strings.Builder
	const (
		plain = iota
		single
		double
		line
		block
	)
	state, n := plain, 0
	for i := 0; i < len(q); i++ {
		two := q[i:min(i+2, len(q))]
		switch {
		case state == plain && q[i] == '\'':
			state = single
		case state == plain && q[i] == '"':
			state = double
		case state == plain && two == "--":
			state = line
		case state == plain && two == "/*":
			state = block
			out.WriteString(two)
			i++
			continue
		case state == plain && q[i] == '?':
			n++
			fmt.Fprintf(&out, "$%d", n)
			continue
		// A doubled quote ends and begins again, which comes to the same.
		case state == single && q[i] == '\'', state == double && q[i] == '"', state == line && q[i] == '\n':
			state = plain
		case state == block && two == "*/":
			state = plain
			out.WriteString(two)
			i++
			continue
		}
		out.WriteByte(q[i])
	}
	return out.String()
}

func TestPlaceholders(t *testing.T) {
	for _, c := range []struct{ in, sqlite, postgres string }{
		{`create table t (a {{int}}, b {{blob}}){{strict}}`, `create table t (a INTEGER, b BLOB) STRICT`, `create table t (a bigint, b bytea)`},
		{`create table t (a {{int}} primary key){{clustered}}`, `create table t (a INTEGER primary key) STRICT, WITHOUT ROWID`, `create table t (a bigint primary key)`},
		{`x IN {{blobs}} or y not in {{ints}}`, `x IN (SELECT unhex(value) FROM json_each(?)) or y not in (SELECT value FROM json_each(?))`, `x = ANY(?::bytea[]) or y <> ALL(?::bigint[])`},
		{`limit ? {{skip_locked}}`, `limit ? `, `limit ? FOR UPDATE SKIP LOCKED`},
	} {
		if got := store.Expand(store.SQLite, c.in); got != c.sqlite {
			t.Errorf("%s\n gives %s", c.in, got)
		}
		if got := store.Expand(store.PostgreSQL, c.in); got != c.postgres {
			t.Errorf("%s\n gives %s", c.in, got)
		}
	}
}

func TestLists(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		things(t, st)
		ids := make([]id.Person, 3000)
		must(t, st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			rows := make([][]any, len(ids))
			for i := range ids {
				ids[i] = id.New[id.Person]()
				rows[i] = []any{1, i, nil, ids[i]}
			}
			_, err := tx.ExecEach(ctx, addThing, rows)
			return err
		}))
		const blobs, notBlobs = `select id from thing where bytes in {{blobs}} order by id`, `select id from thing where bytes not in {{blobs}} order by id`
		const ints, notInts = `select id from thing where id in {{ints}} order by id`, `select id from thing where id not in {{ints}} order by id`
		for _, c := range []struct {
			query string
			arg   any
			want  int
		}{
			{blobs, store.Blobs([]id.Person{}), 0},
			{blobs, store.Blobs([]id.Person(nil)), 0},
			{blobs, store.Blobs(ids[7:10]), 3},
			{blobs, store.Blobs([]id.UUID{ids[0].UUID(), {}}), 1},
			{blobs, store.Blobs(ids), 3000},
			{notBlobs, store.Blobs(ids[:10]), 2990},
			{notBlobs, store.Blobs(ids[:0]), 3000},
			{ints, store.Ints([]int64{}), 0},
			{ints, store.Ints([]int64{-5, 0, 1, 1 << 60}), 2},
			{ints, store.Ints([]id.Organisation{2, 3}), 2},
			{notInts, store.Ints([]uint32{2, 3}), 2998},
		} {
			must(t, st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
				got, err := scan(tx.Query(ctx, c.query, c.arg))
				if len(got) != c.want {
					t.Errorf("%s gives %d, want %d", c.query, len(got), c.want)
				}
				return err
			}))
		}
		// Two lists and a plain argument: their order is that of the placeholders.
		must(t, st.Read(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			got, err := scan(tx.Query(ctx, `select id from thing where organisation_id = ? and id in {{ints}} and bytes in {{blobs}} and id > ?`,
				tx.Organisation(), store.Ints([]int64{1, 2, 3}), store.Blobs(ids[2:4]), 2))
			if !slices.Equal(got, []int{3}) {
				t.Error(got)
			}
			return err
		}))
	})
}

package store_test

import (
	"context"
	"database/sql"
	"os"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// TestMain lets the test binary be the child process that a test kills.
func TestMain(m *testing.M) {
	if os.Getenv("CAREPOST_STORE_CHILD") != "" {
		time.AfterFunc(time.Minute, func() { os.Exit(3) }) // should its parent die before it kills this
	}
	switch os.Getenv("CAREPOST_STORE_CHILD") {
	case "crash":
		crashChild()
	case "hold":
		holdChild()
	case "disk":
		diskChild()
	case "lock":
		lockChild()
	case "acts":
		actsChild()
	}
	os.Exit(m.Run())
}

var scope = id.System(1)

const createThing = `create table thing (
	organisation_id {{int}} not null, id {{int}} not null, text text, bytes {{blob}}, primary key (organisation_id, id)){{strict}}`

const addThing = `insert into thing (organisation_id, id, text, bytes) values (?, ?, ?, ?)`

// things makes a table for the test.
func things(t testing.TB, st *store.Store) {
	t.Helper()
	must(t, st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, createThing)
		return err
	}))
}

func add(n int) func(ctx context.Context, tx *store.Tx) error {
	return func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, addThing, tx.Organisation(), n, "x", nil)
		return err
	}
}

// numbers gives the ids of the things that are there.
func numbers(t testing.TB, st *store.Store) (list []int) {
	t.Helper()
	must(t, st.Read(context.Background(), scope, func(ctx context.Context, tx *store.Tx) (err error) {
		list, err = scan(tx.Query(ctx, `select id from thing where organisation_id = ? order by id`, tx.Organisation()))
		return err
	}))
	return list
}

func scan(rows *sql.Rows, err error) (list []int, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, rows.Err()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package job_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/job"
	"github.com/carepost/carepost/internal/store"
)

// The tests are an owner: a table of work, and a claim, a settlement and a renewal for it. outcomes counts the settlements of a row.
const (
	createWork = `create table work (organisation_id {{int}} not null, id {{blob}} not null, number {{int}} not null, state {{int}} not null,
		due_at {{int}} not null, lease {{blob}}, attempt {{int}} not null, outcomes {{int}} not null, primary key (organisation_id, id)){{strict}}`
	addWork   = `insert into work (organisation_id, id, number, state, due_at, attempt, outcomes) values (?, ?, ?, 1, ?, 0, 0)`
	claimWork = `with due as materialized (
			select organisation_id, id from work where state <> 3 and due_at <= ? order by due_at limit ? {{skip_locked}}
		)
		update work set state = 2, lease = ?, due_at = ?, attempt = attempt + 1 from due
		where work.organisation_id = due.organisation_id and work.id = due.id returning work.organisation_id, work.id, work.number, work.attempt`
	doneWork    = `update work set state = 3, lease = null, outcomes = outcomes + 1 where organisation_id = ? and id = ? and lease = ?`
	releaseWork = `update work set state = 1, lease = null, due_at = ?, attempt = attempt - 1 where organisation_id = ? and id = ? and lease = ?`
	againWork   = `update work set state = 1, lease = null, due_at = ? where organisation_id = ? and id = ? and lease = ?`
	renewWork   = `update work set due_at = ? where organisation_id = ? and id = ? and lease = ?`
)

type work struct {
	key     job.Key
	number  int
	attempt int
}

type loop = job.Loop[work, string]

func newLoop(do func(ctx context.Context, w job.Held[work]) (string, error)) *loop {
	return &loop{
		Name: "test", Lease: 10 * time.Second, Batch: 32, Concurrency: 4, Idle: 10 * time.Millisecond, Grace: 10 * time.Second,
		Key: func(w work) job.Key { return w.key }, Claim: claim, Settle: settle, Do: do,
	}
}

func claim(ctx context.Context, tx *store.Tx, c job.Claim) (list []work, err error) {
	rows, err := tx.Query(ctx, claimWork, store.Millis(c.Now), c.Limit, c.Lease, store.Millis(c.Until))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var w work
		if err := rows.Scan(&w.key.Organisation, &w.key.ID, &w.number, &w.attempt); err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, rows.Err()
}

func settle(ctx context.Context, tx *store.Tx, done []job.Outcome[work, string]) (held int, err error) {
	for _, o := range done {
		var n int64
		switch {
		case o.Err == nil:
			n, err = tx.Exec(ctx, doneWork, tx.Organisation(), o.Work.key.ID, o.Lease)
		case errors.Is(o.Err, job.ErrReleased):
			n, err = tx.Exec(ctx, releaseWork, store.Millis(tx.Now), tx.Organisation(), o.Work.key.ID, o.Lease)
		default:
			n, err = tx.Exec(ctx, againWork, store.Millis(tx.Now), tx.Organisation(), o.Work.key.ID, o.Lease)
		}
		if err != nil {
			return 0, err
		}
		held += int(n)
	}
	return held, nil
}

func renew(ctx context.Context, tx *store.Tx, held []job.Held[work], until time.Time) (lost []job.Key, err error) {
	for _, h := range held {
		n, err := tx.Exec(ctx, renewWork, store.Millis(until), tx.Organisation(), h.Work.key.ID, h.Lease)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			lost = append(lost, h.Work.key)
		}
	}
	return lost, nil
}

// fill makes the table with n rows that are due, over three organisations.
func fill(t *testing.T, st *store.Store, n int) {
	t.Helper()
	exec(t, st, createWork)
	err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		rows := make([][]any, n)
		for i := range rows {
			rows[i] = []any{1 + i%3, id.New[id.Job](), i, store.Millis(tx.Now)}
		}
		_, err := tx.ExecEach(ctx, addWork, rows)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func exec(t *testing.T, st *store.Store, statement string, args ...any) {
	t.Helper()
	err := st.Write(t.Context(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, statement, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, st *store.Store, where string, args ...any) (n int) {
	t.Helper()
	err := st.Read(context.Background(), id.System(1), func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, `select count(*) from `+where, args...).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// start runs a loop until stop is called or the test ends; stop waits for it.
func start(t *testing.T, st *store.Store, l *loop) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, st) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// eventually waits for what a loop will do.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not after a minute: ", what)
		}
	}
}

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if os.Getenv("CAREPOST_JOB_CHILD") != "" {
		time.AfterFunc(time.Minute, func() { os.Exit(3) }) // should its parent die before it kills this
		killedChild()
	}
	os.Exit(m.Run())
}

// killedChild claims work and prints the number of each piece it begins; every fourth never ends.
func killedChild() {
	st, err := store.Open(context.Background(), store.Options{Dir: os.Getenv("DIR"), DSN: os.Getenv("DSN")})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(2)
	}
	l := newLoop(func(ctx context.Context, w job.Held[work]) (string, error) {
		fmt.Println(w.Work.number)
		if w.Work.number%4 == 0 {
			select {}
		}
		return "", nil
	})
	l.Lease, l.Concurrency, l.Batch = 10*time.Second, 64, 20
	if err := l.Run(context.Background(), st); err != nil {
		fmt.Println("error", err)
	}
	os.Exit(2)
}

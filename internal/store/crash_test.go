package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/store"
)

// child starts the test binary as another program on the database.
func child(t *testing.T, what string, o store.Options, more ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CAREPOST_STORE_CHILD="+what, "DIR="+o.Dir, "DSN="+o.DSN)
	cmd.Env = append(cmd.Env, more...)
	cmd.Stderr = os.Stderr
	return cmd
}

func childStore() *store.Store {
	st, err := store.Open(context.Background(), store.Options{Dir: os.Getenv("DIR"), DSN: os.Getenv("DSN")})
	if err != nil {
		fmt.Println("error", fault.CodeOf(err), err)
		os.Exit(2)
	}
	return st
}

const (
	crashWriters = 64
	crashRounds  = 5
)

// crashChild writes from many goroutines and prints each number after it was acknowledged, until it is killed.
func crashChild() {
	st := childStore()
	from, err := strconv.Atoi(os.Getenv("FROM"))
	if err != nil {
		os.Exit(2)
	}
	var out sync.Mutex
	for w := range crashWriters {
		go func() {
			for n := from + w; ; n += crashWriters {
				// Two rows in one act: half an act would show.
				err := st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
					if err := add(2*n)(ctx, tx); err != nil {
						return err
					}
					return add(2*n+1)(ctx, tx)
				})
				out.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Println(n)
				}
				out.Unlock()
			}
		}()
	}
	select {}
}

// Killed under load again and again, the database has every act that was acknowledged, and every act whole.
func TestKilledUnderLoad(t *testing.T) {
	rounds := caretest.Rounds(t, crashRounds)
	for name, options := range map[string]func(t *testing.T) store.Options{
		"sqlite":   func(t *testing.T) store.Options { return store.Options{Dir: caretest.Folder(t)} },
		"postgres": func(t *testing.T) store.Options { return store.Options{DSN: caretest.DSN(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			st := caretest.OpenWith(t, o)
			things(t, st)
			must(t, st.Close())
			acknowledged := map[int]bool{}
			from := 0
			lost := 0
			for round := range rounds {
				from = killOnce(t, o, from, 200+round*170%900, acknowledged)
				lost = max(lost, check(t, o, acknowledged))
			}
			caretest.Tally{Rounds: rounds, Lost: lost, InDoubt: -1, Weaker: -1}.Count(t)
			t.Logf("%d acts acknowledged in %d rounds", len(acknowledged), rounds)
			if len(acknowledged) < rounds {
				t.Error("too little was written to show anything")
			}
		})
	}
}

// killOnce lets a child write until some acts are acknowledged, kills it, and adds what it acknowledged.
func killOnce(t *testing.T, o store.Options, from, acts int, acknowledged map[int]bool) (next int) {
	t.Helper()
	cmd := child(t, "crash", o, "FROM="+strconv.Itoa(from))
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	next = from
	lines, seen := bufio.NewScanner(out), 0
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil { // a line that the kill cut short comes last and has no number, or a wrong one: only whole lines count
			if seen < acts {
				t.Error(lines.Text())
			}
			continue
		}
		acknowledged[n] = true
		next = max(next, n+1)
		if seen++; seen == acts {
			must(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait() // killed
	return next + crashWriters*1000
}

// check gives how many acknowledged acts are not there.
func check(t *testing.T, o store.Options, acknowledged map[int]bool) (lost int) {
	t.Helper()
	st, err := store.Open(t.Context(), o)
	must(t, err)
	there := map[int]bool{}
	for _, n := range numbers(t, st) {
		there[n] = true
	}
	for n := range acknowledged {
		if !there[2*n] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged acts are lost", lost, len(acknowledged))
	}
	for n := range there {
		if !there[n^1] {
			t.Errorf("half of act %d is there", n/2)
		}
	}
	must(t, st.Check(t.Context()))
	must(t, st.Close())
	return lost
}

// holdChild opens the folder and stays.
func holdChild() {
	childStore()
	fmt.Println("held")
	select {}
}

func TestASecondProcessIsToldWhoHasTheFolder(t *testing.T) {
	o := store.Options{Dir: caretest.Folder(t)}
	cmd := child(t, "hold", o)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatal(line, err)
	}
	_, err = store.Open(t.Context(), o)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "process "+strconv.Itoa(cmd.Process.Pid)) || !strings.Contains(err.Error(), o.Dir) {
		t.Error(err)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	st, err := store.Open(t.Context(), o) // what was killed holds nothing
	must(t, err)
	if _, err := store.Open(t.Context(), o); !fault.Is(err, fault.Conflict) {
		t.Error("twice in one process:", err)
	}
	must(t, st.Close())
}

func TestALockThatIsALinkIsNotFollowed(t *testing.T) {
	dir := caretest.Folder(t)
	victim := filepath.Join(t.TempDir(), "victim")
	must(t, os.WriteFile(victim, []byte("keep"), 0o600))
	must(t, os.Symlink(victim, filepath.Join(dir, "lock")))
	if _, err := store.Open(t.Context(), store.Options{Dir: dir}); err == nil {
		t.Error("opened")
	}
	if b, err := os.ReadFile(victim); string(b) != "keep" {
		t.Error(string(b), err)
	}
}

// diskChild writes until the system refuses: its files may not grow beyond a limit, which SQLite meets as a failed write.
func diskChild() {
	signal.Ignore(syscall.SIGXFSZ)
	st := childStore()
	limit := syscall.Rlimit{Cur: 600 << 10, Max: 600 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println("error", err)
		os.Exit(2)
	}
	for n := 0; ; n++ {
		err := st.Write(context.Background(), scope, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, addThing, tx.Organisation(), n, strings.Repeat("x", 1000), nil)
			return err
		})
		if err == nil {
			fmt.Println(n)
			continue
		}
		fmt.Println("refused", fault.CodeOf(err))
		<-st.Failed()
		fmt.Println("failed", st.Write(context.Background(), scope, add(n+1)))
		os.Exit(0)
	}
}

func TestAFailedDiskStopsTheStore(t *testing.T) {
	o := store.Options{Dir: caretest.Folder(t)}
	st := caretest.OpenWith(t, o)
	things(t, st)
	must(t, st.Close())
	out, err := child(t, "disk", o).Output()
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if n := len(lines); n < 10 || lines[n-2] != "refused unavailable" || !strings.Contains(lines[n-1], "disk") {
		t.Fatal(lines)
	}
	acknowledged := len(lines) - 2
	st = caretest.OpenWith(t, o)
	if got := numbers(t, st); len(got) < acknowledged || len(got) > acknowledged+1 {
		t.Errorf("%d rows for %d acknowledged", len(got), acknowledged)
	}
	must(t, st.Check(t.Context()))
}

// A full disk refuses, loses nothing, and takes writes again when there is room.
func TestAFullDiskRecovers(t *testing.T) {
	st := caretest.Open(t)
	things(t, st)
	pages := func(n string) func(ctx context.Context, tx *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error {
			return tx.QueryRow(ctx, `pragma max_page_count = `+n).Scan(new(int))
		}
	}
	must(t, st.Write(t.Context(), scope, pages("1"))) // as many as there are
	acknowledged := 0
	for n := range 1000 {
		err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, addThing, tx.Organisation(), n, strings.Repeat("x", 1000), nil)
			return err
		})
		if err != nil {
			if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "full") {
				t.Error(err)
			}
			break
		}
		acknowledged++
	}
	if acknowledged == 1000 {
		t.Fatal("the limit did not work")
	}
	if got := numbers(t, st); len(got) != acknowledged {
		t.Errorf("%d rows for %d acknowledged", len(got), acknowledged)
	}
	must(t, st.Write(t.Context(), scope, pages("100000")))
	must(t, st.Write(t.Context(), scope, add(5000)))
	must(t, st.Check(t.Context()))
}

// A connection that dies in the middle of an act is an error of that act only.
func TestPostgreSQLEndsTheConnection(t *testing.T) {
	st := caretest.OpenPostgreSQL(t)
	things(t, st)
	err := st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
		if err := add(1)(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `select pg_terminate_backend(pg_backend_pid())`)
		return err
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	err = errors.New("not tried")
	for range 20 { // the pool may still hand out what the server has dropped
		if err = st.Write(t.Context(), scope, add(2)); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	must(t, err)
	if got := numbers(t, st); len(got) != 1 || got[0] != 2 {
		t.Error(got)
	}
}

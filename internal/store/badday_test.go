package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/store"
)

// lockChild is another program that works on the file of the database: it holds the lock of writers until its input ends.
func lockChild() {
	db, err := sql.Open("sqlite", filepath.Join(os.Getenv("DIR"), "carepost.db"))
	if err == nil {
		db.SetMaxOpenConns(1)
		_, err = db.Exec(`begin immediate`)
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(2)
	}
	fmt.Println("locked")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // its end is all there is to hear
	_, _ = db.Exec(`commit`)
	os.Exit(0)
}

// lockFile has another program lock the database's file until release is called.
func lockFile(t *testing.T, o store.Options) (release func()) {
	t.Helper()
	cmd := child(t, "lock", o)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatal(line, err)
	}
	return func() {
		must(t, in.Close())
		must(t, cmd.Wait())
	}
}

// Another program that holds the file locked delays writers for a while and is then named as what it is; readers go on; when it is
// gone, so is the trouble.
func TestTheDatabaseIsLockedByAnotherProgram(t *testing.T) {
	o := store.Options{Dir: caretest.Folder(t)}
	st := caretest.OpenWith(t, o)
	things(t, st)
	must(t, st.Write(t.Context(), scope, add(1)))

	release := lockFile(t, o)
	written := make(chan error, 1)
	go func() { written <- st.Write(context.Background(), scope, add(2)) }()
	if got := numbers(t, st); len(got) != 1 {
		t.Errorf("readers see %v", got)
	}
	release()
	must(t, <-written)

	must(t, st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error { // else it waits ten seconds
		return tx.QueryRow(ctx, `pragma busy_timeout = 50`).Scan(new(int))
	}))
	release = lockFile(t, o)
	err := st.Write(t.Context(), scope, add(3))
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("the writer was told %v", err)
	}
	release()
	must(t, st.Write(t.Context(), scope, add(4)))
	if got := numbers(t, st); fmt.Sprint(got) != "[1 2 4]" {
		t.Errorf("there are %v", got)
	}
}

// A file system that is full refuses writes and loses nothing; when there is room again, writes are taken again, without a restart.
func TestAFullFileSystemRecovers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small")
	must(t, os.Mkdir(dir, 0o700))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=6m,mode=0700"); err != nil {
		t.Logf("no file system can be mounted here (%v): TestAFullDiskRecovers has the limit of pages stand for it", err)
		return
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) })
	st, err := store.Open(t.Context(), store.Options{Dir: dir})
	must(t, err)
	things(t, st)
	acknowledged := 0
	fill := func(n int) error {
		return st.Write(t.Context(), scope, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, addThing, tx.Organisation(), n, strings.Repeat("x", 2000), nil)
			return err
		})
	}
	filler := filepath.Join(dir, "filler")
	must(t, os.WriteFile(filler, make([]byte, 2<<20), 0o600))
	for ; acknowledged < 10_000; acknowledged++ {
		if err = fill(acknowledged); err != nil {
			break
		}
	}
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "full") {
		t.Fatalf("after %d writes: %v", acknowledged, err)
	}
	for range 5 { // it stays so, and stays calm
		if err := fill(20_000); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a full disk took a write: %v", err)
		}
	}
	if got := numbers(t, st); len(got) != acknowledged {
		t.Errorf("%d rows for %d acknowledged while the disk is full", len(got), acknowledged)
	}
	must(t, os.Remove(filler))
	must(t, fill(30_000))
	must(t, st.Check(t.Context()))
	must(t, st.Close())
	st, err = store.Open(t.Context(), store.Options{Dir: dir})
	must(t, err)
	if got := numbers(t, st); len(got) != acknowledged+1 {
		t.Errorf("%d rows for %d acknowledged after a restart", len(got), acknowledged+1)
	}
	must(t, st.Close())
}

// The clock of transactions never goes back, whatever is done to the machine's; it follows a jump ahead.
func TestTheClockIsSet(t *testing.T) {
	wall, since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), time.Duration(0)
	clock := store.SteadyClock(func() (time.Time, time.Duration) { return wall, since })
	first := clock()
	for _, c := range []struct {
		what               string
		passed, set, moves time.Duration // really, on the wall besides, and what the clock does
	}{
		{"a second passes", time.Second, 0, time.Second},
		{"the wall is set ahead by an hour", time.Second, time.Hour, time.Second + time.Hour},
		{"it is set back by three", time.Second, -3 * time.Hour, time.Second},
		{"time goes on behind", time.Minute, 0, time.Minute},
		{"it is set ahead, not as far as we are", time.Minute, 2 * time.Hour, time.Minute},
		{"it is set ahead, further", time.Minute, 2 * time.Hour, time.Minute + time.Hour},
		{"no time passes", 0, 0, 0},
	} {
		wall, since = wall.Add(c.passed+c.set), since+c.passed
		now := clock()
		if moved := now.Sub(first); moved != c.moves {
			t.Errorf("%s: the clock moved by %s, not by %s", c.what, moved, c.moves)
		}
		first = now
	}
}

// actsChild does one act after the other and says of each that it is done, on its standard output.
func actsChild() {
	st := childStore()
	for n := range 20 {
		if err := st.Write(context.Background(), scope, add(n)); err != nil {
			fmt.Println("refused", n, fault.CodeOf(err))
			continue
		}
		fmt.Println("done", n)
	}
	os.Exit(0)
}

// traced runs actsChild under strace and gives what it said and the trace. ok is false where processes cannot be traced.
func traced(t *testing.T, o store.Options, options ...string) (said []string, trace string, ok bool) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err, " (apt-get install strace)")
	}
	file := filepath.Join(t.TempDir(), "trace")
	args := append([]string{"-f", "-y", "-qq", "-o", file, "-e", "trace=fsync,fdatasync,write,pwrite64"}, options...)
	cmd := exec.Command("strace", append(args, os.Args[0])...)
	cmd.Env = append(os.Environ(), "CAREPOST_STORE_CHILD=acts", "DIR="+o.Dir, "DSN=")
	out, err := cmd.Output()
	raw, rerr := os.ReadFile(file)
	if err != nil && (rerr != nil || !strings.Contains(string(raw), "pwrite64")) {
		t.Logf("processes cannot be traced here: %v", err)
		return nil, "", false
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n"), string(raw), true
}

var (
	journalWrite = regexp.MustCompile(`pwrite64\(\d+<[^>]*carepost\.db-wal>`)
	journalSync  = regexp.MustCompile(`(?:fsync|fdatasync)\(\d+<[^>]*carepost\.db-wal>`)
	syncEnds     = regexp.MustCompile(`(?:fsync|fdatasync)(?:\(| resumed>).*= 0`)
	says         = regexp.MustCompile(`write\(1<[^>]*>, "done (\d+)`)
)

// Between what an act writes to the journal and the word that it is done lies a sync of the journal that has come to its end.
func TestASyncBeforeEveryAcknowledgement(t *testing.T) {
	o := store.Options{Dir: caretest.Folder(t)}
	st := caretest.OpenWith(t, o)
	things(t, st)
	must(t, st.Close())
	said, trace, ok := traced(t, o)
	if !ok {
		return
	}
	if len(said) != 20 || said[19] != "done 19" {
		t.Fatalf("it said %q", said)
	}
	acts, wrote, began, synced := 0, -1, -1, -1
	for i, line := range strings.Split(trace, "\n") {
		switch {
		case journalWrite.MatchString(line):
			wrote = i
		case journalSync.MatchString(line):
			if began = i; syncEnds.MatchString(line) {
				synced = i
			}
		case began >= 0 && syncEnds.MatchString(line):
			synced = i
		}
		m := says.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if m[1] != strconv.Itoa(acts) {
			t.Fatalf("act %s is said to be done where %d was expected", m[1], acts)
		}
		if wrote < 0 || began <= wrote || synced < began {
			t.Fatalf("act %d: written in line %d, sync begun in %d and ended in %d, said to be done in %d of\n%s", acts, wrote, began, synced, i, trace)
		}
		acts++
		wrote, began, synced = -1, -1, -1
	}
	if acts != 20 {
		t.Errorf("the trace shows %d acts", acts)
	}
}

// A sync that fails is never followed by the word that the act is done, and the store takes no more: what is on the disk is not known.
func TestAFailedSyncIsNotAcknowledged(t *testing.T) {
	o := store.Options{Dir: caretest.Folder(t)}
	st := caretest.OpenWith(t, o)
	things(t, st)
	must(t, st.Close())
	said, _, ok := traced(t, o, "-e", "inject=fsync,fdatasync:error=EIO:when=8+")
	if !ok {
		return
	}
	done, refused := 0, 0
	for _, line := range said {
		switch {
		case strings.HasPrefix(line, "done") && refused == 0:
			done++
		case strings.HasPrefix(line, "refused") && strings.HasSuffix(line, "unavailable"):
			refused++
		default:
			t.Errorf("it said %q after %d refusals", line, refused)
		}
	}
	if done == 0 || refused == 0 {
		t.Errorf("%d acts done, %d refused: %q", done, refused, said)
	}
	st = caretest.OpenWith(t, o)
	if got := numbers(t, st); len(got) < done || len(got) > done+1 {
		t.Errorf("%d acts are there, %d were acknowledged", len(got), done)
	}
	must(t, st.Check(t.Context()))
}

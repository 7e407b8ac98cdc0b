package caretest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/carepost/carepost/internal/store"
)

// The shared cluster lives in /tmp/carepost-pg-UID:
//
//	users   each test process holds a shared lock on it for its life; the watcher takes it whole to know that nobody is left
//	start   locked while one process makes the cluster or the template
//	d, s    the cluster's data, and its socket: short, since a socket's path has 107 bytes at most
const (
	startTimeout = 90 * time.Second
	idleRounds   = 6 // of 20 s: the watcher ends a cluster that was idle for two minutes
)

// watch ends the cluster when no test process has used it for a while, and leaves nothing behind. It holds the users lock meanwhile,
// so that a test process that comes then waits and starts a new cluster.
const watch = `idle=0
while sleep 20; do
	[ -d "$1/d" ] || exit 0
	if flock -n -x "$1/users" true; then idle=$((idle+1)); else idle=0; fi
	[ $idle -lt "$3" ] && continue
	flock -n -x "$1/users" sh -c '"$2/pg_ctl" -D "$1/d" -m immediate -w stop; rm -rf "$1/d"' sh "$1" "$2" && exit 0
done`

var errAbsent = errors.New("PostgreSQL's server is not installed")

type cluster struct {
	dir, bin string
	cred     *syscall.Credential // nil: as this process
	template string
	users    *os.File
}

// shared finds or starts the cluster, once in each test process.
var shared = sync.OnceValues(startShared)

var databases atomic.Int64

// DSN gives a fresh PostgreSQL database that is migrated and dropped when the test ends. Without PostgreSQL the test is skipped.
func DSN(t testing.TB) string {
	t.Helper()
	c, err := shared()
	switch {
	case errors.Is(err, errAbsent) && os.Getenv("CI") != "true":
		t.Skip("skipped: ", err, " (apt-get install postgresql-15)")
	case err != nil:
		t.Fatal(err)
	}
	name := fmt.Sprintf("t_%d_%d", os.Getpid(), databases.Add(1))
	if err := c.admin(`create database ` + name + ` template ` + c.template); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	t.Cleanup(func() {
		if err := c.admin(`drop database if exists ` + name + ` with (force)`); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return c.dsn(name)
}

func (c *cluster) dsn(database string) string {
	return "host=" + filepath.Join(c.dir, "s") + " user=postgres dbname=" + database + " sslmode=disable pool_max_conns=12"
}

func (c *cluster) admin(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, strings.TrimSuffix(c.dsn("postgres"), " pool_max_conns=12"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

func startShared() (*cluster, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	c := &cluster{bin: bin, dir: "/tmp/carepost-pg-" + strconv.Itoa(os.Getuid())}
	owner := os.Getuid()
	if owner == 0 { // PostgreSQL refuses to run as root
		if c.cred, err = unprivileged(); err != nil {
			return nil, err
		}
		owner = int(c.cred.Uid)
	}
	if err := c.folder(owner); err != nil {
		return nil, err
	}
	if c.users, err = lockFile(filepath.Join(c.dir, "users"), syscall.LOCK_SH, owner); err != nil {
		return nil, err
	}
	start, err := lockFile(filepath.Join(c.dir, "start"), syscall.LOCK_EX, owner)
	if err != nil {
		return nil, err
	}
	defer start.Close() //nolint:errcheck // ends the lock
	if c.admin(`select 1`) != nil {
		if err := c.start(); err != nil {
			return nil, err
		}
	}
	return c, c.makeTemplate()
}

// folder makes the cluster's private folder, or takes the one of an earlier run.
func (c *cluster) folder(owner int) error {
	// Made beside and moved into place: nobody ever sees it with another owner. A folder that holds something is not replaced (rename(2)).
	fresh, err := os.MkdirTemp(filepath.Dir(c.dir), filepath.Base(c.dir)+"-")
	if err != nil {
		return err
	}
	if err := os.Chown(fresh, owner, -1); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	if os.Rename(fresh, c.dir) == nil {
		return nil
	}
	if err := os.Remove(fresh); err != nil {
		return err
	}
	info, err := os.Lstat(c.dir)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(st.Uid) != owner || info.Mode().Perm() != 0o700 {
		return fmt.Errorf("%s is not a private folder of the user that runs the test cluster; remove it", c.dir)
	}
	return nil
}

// start makes a new cluster, also where a crashed one has left its data.
func (c *cluster) start() error {
	if err := c.make(); err != nil {
		return err
	}
	if err := c.up(); err != nil {
		return err
	}
	watcher := c.as("sh", "-c", watch, "sh", c.dir, c.bin, strconv.Itoa(idleRounds))
	watcher.SysProcAttr.Setsid = true // outlives this process
	if err := watcher.Start(); err != nil {
		return err
	}
	return watcher.Process.Release()
}

// make makes the data of a new cluster and its socket's folder.
func (c *cluster) make() error {
	data, socket := filepath.Join(c.dir, "d"), filepath.Join(c.dir, "s")
	if _, err := os.Stat(filepath.Join(data, "postmaster.pid")); err == nil {
		_ = c.command("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop").Run() // it may be gone already
	}
	if err := errors.Join(os.RemoveAll(data), os.RemoveAll(socket)); err != nil {
		return err
	}
	if err := c.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"); err != nil {
		return err
	}
	return c.as("mkdir", "-m", "0700", socket).Run()
}

// up starts the server over the data.
func (c *cluster) up() error {
	data, socket := filepath.Join(c.dir, "d"), filepath.Join(c.dir, "s")
	// Tests kill clients, never the machine: without fsync they are much faster and test the same.
	settings := "listen_addresses='' unix_socket_directories='" + socket + "' max_connections=300 shared_buffers=64MB fsync=off " +
		"full_page_writes=off wal_level=minimal max_wal_senders=0 autovacuum=off timezone=UTC log_min_messages=warning"
	var opts []string
	for _, s := range strings.Fields(settings) {
		opts = append(opts, "-c "+s)
	}
	return c.run("pg_ctl", "-D", data, "-w", "-t", "60", "-l", filepath.Join(data, "log"), "-o", strings.Join(opts, " "), "start")
}

// makeTemplate migrates a database once for all tests of this schema.
func (c *cluster) makeTemplate() error {
	sum, err := store.SchemaSum()
	if err != nil {
		return err
	}
	c.template = "template_" + sum[:16]
	if err := c.admin(`alter database ` + c.template + ` with is_template true`); err == nil {
		return nil // it exists
	}
	if err := c.admin(`drop database if exists making with (force)`); err != nil {
		return err
	}
	if err := c.admin(`create database making`); err != nil {
		return err
	}
	st, err := store.Open(context.Background(), store.Options{DSN: c.dsn("making")})
	if err != nil {
		return err
	}
	if err := st.Close(); err != nil {
		return err
	}
	return c.admin(`alter database making rename to ` + c.template)
}

// as makes a command that runs as the cluster's user and holds no file of this process.
func (c *cluster) as(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), name, args...) //nolint:gosec // G204: PostgreSQL's own programs, mkdir and sh
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.cred}
	return cmd
}

func (c *cluster) command(name string, args ...string) *exec.Cmd {
	return c.as(filepath.Join(c.bin, name), args...)
}

func (c *cluster) run(name string, args ...string) error {
	// The output goes to a file: a pipe would be held open by the server that pg_ctl leaves behind.
	out, err := os.CreateTemp("", "carepost-"+name+"-")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) //nolint:errcheck // in the temporary folder
	defer out.Close()           //nolint:errcheck // read below
	cmd := c.command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w: %s", name, err, said)
	}
	return nil
}

func lockFile(path string, how, owner int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	return f, errors.Join(err, f.Chown(owner, -1))
}

// binaries finds the newest server that is new enough.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	found = slices.DeleteFunc(found, func(p string) bool { return version(p) < 15 })
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errAbsent
}

// unprivileged is the user that runs the cluster when the tests run as root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uerr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gerr := strconv.ParseUint(u.Gid, 10, 32)
		if uerr == nil && gerr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("there is no user to run PostgreSQL under: neither postgres nor nobody")
}

package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// organisation is the one that the measurements work in.
const organisation id.Organisation = 1

var scope = id.System(organisation)

// place is the ground of a measurement: a store, keys and a running ledger in a folder, or a schema, of their own.
type place struct {
	store  *store.Store
	keys   *seal.Keys
	ledger *ledger.Ledger

	dir   string
	dsn   string // with the schema; empty on SQLite
	leave []func() error
	stays int // of leave, what reopen leaves standing: the folder, the schema
}

// newPlace makes a place on SQLite, or on PostgreSQL in a schema of its own that close drops.
func newPlace(ctx context.Context, dsn string) (p *place, err error) {
	p = &place{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.dir, err = os.MkdirTemp("", "carepost-bench-"); err != nil {
		return p, err
	}
	p.leave = append(p.leave, func() error { return os.RemoveAll(p.dir) })
	if dsn != "" {
		if err := p.schema(ctx, dsn); err != nil {
			return p, err
		}
	}
	if err := p.makeFolders(); err != nil {
		return p, err
	}
	p.stays = len(p.leave)
	return p, p.open(ctx)
}

func (p *place) open(ctx context.Context) error {
	if err := p.openStore(ctx); err != nil {
		return err
	}
	return p.openKeys(ctx)
}

// reopen closes store, keys and ledger and opens them from the disk, as another process would.
func (p *place) reopen(ctx context.Context) error {
	if err := p.closeTo(p.stays); err != nil {
		return err
	}
	return p.open(ctx)
}

// makeFolders makes the folder of the database, and the one of the keys with new keys in it.
func (p *place) makeFolders() error {
	if err := errors.Join(os.Mkdir(p.data(), 0o700), os.Mkdir(filepath.Join(p.dir, "keys"), 0o700)); err != nil {
		return err
	}
	ringFile, signerFile := p.keyFiles()
	return errors.Join(seal.CreateRing(ringFile, time.Now()), ledger.CreateSigner(signerFile, "bench.invalid/ledger"))
}

func (p *place) data() string { return filepath.Join(p.dir, "data") }

func (p *place) keyFiles() (ring, signer string) {
	return filepath.Join(p.dir, "keys", "ring"), filepath.Join(p.dir, "keys", "ledger.key")
}

// schema makes a schema on the server and has the store work in it.
func (p *place) schema(ctx context.Context, dsn string) error {
	name := "carepost_bench_" + strings.ToLower(rand.Text())
	if err := execute(ctx, dsn, "create schema "+name); err != nil {
		return fault.Wrap(fault.Invalid, err, "a schema for the measurement cannot be made").At("--dsn").Hint("its user must be allowed to create one in this database")
	}
	p.leave = append(p.leave, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return execute(ctx, dsn, "drop schema "+name+" cascade")
	})
	p.dsn = withSetting(dsn, "search_path", name)
	return nil
}

// withSetting adds a run-time parameter to a connection string of either form.
func withSetting(dsn, key, value string) string {
	if u, err := url.Parse(dsn); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		q := u.Query()
		q.Set(key, value)
		u.RawQuery = q.Encode()
		return u.String()
	}
	return dsn + " " + key + "=" + value
}

func execute(ctx context.Context, dsn, statement string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

func (p *place) openStore(ctx context.Context) (err error) {
	o := store.Options{DSN: p.dsn}
	if p.dsn == "" {
		o.Dir = p.data()
	}
	if p.store, err = store.Open(ctx, o); err != nil {
		return err
	}
	p.leave = append(p.leave, p.store.Close)
	return nil
}

func (p *place) openKeys(ctx context.Context) error {
	ringFile, signerFile := p.keyFiles()
	ring, err := seal.OpenRing(ringFile, "")
	if err != nil {
		return err
	}
	if p.keys, err = seal.Open(ctx, p.store, ring); err != nil {
		return err
	}
	signer, err := ledger.OpenSigner(signerFile)
	if err != nil {
		return err
	}
	if p.ledger, err = ledger.New(ctx, p.store, p.keys, signer); err != nil {
		return err
	}
	return p.runLedger(ctx)
}

func (p *place) runLedger(ctx context.Context) error {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- p.ledger.Run(ctx) }()
	p.leave = append(p.leave, func() error { stop(); return <-ended })
	return nil
}

// close ends everything in the order opposite to its making.
func (p *place) close() error { return p.closeTo(0) }

// closeTo ends what was made after the first n.
func (p *place) closeTo(n int) error {
	var errs []error
	for i := len(p.leave) - 1; i >= n; i-- {
		errs = append(errs, p.leave[i]())
	}
	p.leave = p.leave[:n]
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("leave the place of the measurement: %w", err)
	}
	return nil
}

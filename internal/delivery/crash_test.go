package delivery_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
	"github.com/carepost/carepost/internal/tlspolicy"
	"github.com/carepost/carepost/internal/world"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if os.Getenv("CAREPOST_TEST_CHILD") != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child hands in messages, says each one's id once it is acknowledged, and sends them, until it is killed or its work is done.
func child() error {
	ctx := context.Background()
	dir := os.Getenv("CAREPOST_TEST_CHILD")
	st, err := store.Open(ctx, store.Options{Dir: filepath.Join(dir, "data"), DSN: os.Getenv("CAREPOST_TEST_DSN")})
	if err != nil {
		return err
	}
	ring, err := seal.OpenRing(filepath.Join(dir, "ring"), "")
	if err != nil {
		return err
	}
	keys, err := seal.Open(ctx, st, ring)
	if err != nil {
		return err
	}
	signer, err := ledger.OpenSigner(filepath.Join(dir, "ledger.key"))
	if err != nil {
		return err
	}
	led, err := ledger.New(ctx, st, keys, signer)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	n := &names{hosts: map[string][]string{"x.example": {"mx.x.example"}}, addr: map[string]string{"mx.x.example:25": os.Getenv("CAREPOST_TEST_SINK")}}
	ways, err := tlspolicy.New(tlspolicy.Options{Store: st, Keys: keys, Ledger: led, Resolver: n, Dial: n.dial, Roots: roots})
	if err != nil {
		return err
	}
	k := &kit{need: map[string]tlspolicy.Proof{"x.example": tlspolicy.ProofPKIX}}
	s := fast
	s.Lease, s.Life = time.Minute, map[delivery.Kind]time.Duration{delivery.Care: time.Hour, delivery.Marketing: time.Hour}
	e, err := delivery.New(delivery.Options{Store: st, Keys: keys, Ledger: led, Ways: ways, Prepare: k.prepare, Hello: "carepost.test", Dial: n.dial, Roots: roots, Schedule: s, Connections: 8})
	if err != nil {
		return err
	}
	// Whoever held leases here was killed before this process was started: their time is over.
	err = st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE delivery_holder SET until_at = 1`)
		return err
	})
	if err != nil {
		return err
	}
	go func() { _ = led.Run(ctx) }()
	run, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- e.Run(run) }()
	if os.Getenv("CAREPOST_TEST_DRAIN") == "" {
		for i := 0; ; i++ {
			if err := handIn(ctx, st, e, i); err != nil {
				return err
			}
		}
	}
	for {
		var c delivery.Counts
		err := st.Read(ctx, id.System(1), func(ctx context.Context, tx *store.Tx) (err error) { c, err = e.Counts(ctx, tx); return err })
		if err != nil {
			return err
		}
		if c.Routing+c.Ready+c.Sending == 0 {
			fmt.Printf("counts %d %d %d\n", c.Ended[delivery.Accepted], c.Ended[delivery.InDoubt], c.Doubts)
			stop()
			return <-done
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func handIn(ctx context.Context, st *store.Store, e *delivery.Engine, i int) error {
	var ids []string
	err := st.Write(ctx, id.System(1), func(ctx context.Context, tx *store.Tx) error {
		ids = ids[:0]
		for j := range 20 {
			r := delivery.Row{Message: id.New[id.Message](), Domain: "x.example", Kind: delivery.Care}
			if (i+j)%2 == 0 {
				r.Kind = delivery.Marketing
			}
			ids = append(ids, r.Kind.String()+" "+r.Message.String())
			if err := e.Enqueue(ctx, tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		fmt.Println(strings.Join(ids, "\n"))
	}
	time.Sleep(40 * time.Millisecond)
	return err
}

// TestKilledUnderLoad: three processes (CAREPOST_SOAK sets how many) are killed while they hand in and send; another one finishes. Nothing that was acknowledged is
// lost, what came twice is care that was in doubt, and marketing never comes twice.
func TestKilledUnderLoad(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { killed(t, "") })
	t.Run("postgres", func(t *testing.T) { killed(t, caretest.DSN(t)) })
}

func killed(t *testing.T, dsn string) {
	dir := t.TempDir()
	k := &kit{t: t, names: &names{}}
	ca := newCA(t, dir)
	cert, err := ca.Issue(time.Now().AddDate(0, 1, 0), "mx.x.example")
	if err != nil {
		t.Fatal(err)
	}
	s := k.servePlain("x.example", &sink{cert: &cert, script: func(_ *sink, _ int, verb, _ string) string {
		if verb == "dot" {
			time.Sleep(2 * time.Millisecond)
		}
		return ""
	}})
	if err := seal.CreateRing(filepath.Join(dir, "ring"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := ledger.CreateSigner(filepath.Join(dir, "ledger.key"), caretest.LedgerOrigin); err != nil {
		t.Fatal(err)
	}
	c := &children{t: t, dir: dir, dsn: dsn, sink: s.addr, acknowledged: map[string]string{}}
	rounds := caretest.Rounds(t, 3)
	for round := range rounds {
		before := len(s.mails())
		kill := c.start("")
		k.waitFor("the round sends", func() bool { return len(s.mails()) > before+60+round%5*37 })
		kill()
	}
	c.start("drain")()
	counts := strings.Fields(c.counts)
	if len(counts) != 4 {
		t.Fatalf("the last process said %q", c.counts)
	}
	judgeCrash(t, c, s, counts, rounds)
}

func judgeCrash(t *testing.T, c *children, s *sink, counts []string, rounds int) {
	t.Helper()
	arrived := map[string]int{}
	for _, m := range s.mails() {
		arrived[strings.TrimSuffix(m.id, "@carepost.test")]++
	}
	lost, twice, doubted := 0, 0, 0
	for m, kind := range c.acknowledged {
		switch n := arrived[m]; {
		case n == 0 && kind == "marketing":
			doubted++ // its intent was committed and its dot not sent: counted as in doubt
		case n == 0:
			lost++
			t.Errorf("%s, acknowledged, never arrived", kind)
		case n > 1 && kind == "marketing":
			t.Errorf("marketing arrived %d times", n)
		case n > 1:
			twice++
		}
	}
	var inDoubt, doubts int
	if _, err := fmt.Sscan(counts[2]+" "+counts[3], &inDoubt, &doubts); err != nil {
		t.Fatal(err)
	}
	if doubted > inDoubt || twice > doubts {
		t.Errorf("%d marketing missing of %d in doubt, %d care twice of %d doubts", doubted, inDoubt, twice, doubts)
	}
	t.Logf("%d acknowledged, %d arrived, %d lost, %d care twice, %d marketing not known; doubts %d", len(c.acknowledged), len(arrived), lost, twice, inDoubt, doubts)
	caretest.Tally{Rounds: rounds, Lost: lost, InDoubt: inDoubt + doubts, Weaker: -1}.Count(t)
	if len(c.acknowledged) < 100 {
		t.Errorf("only %d messages were handed in", len(c.acknowledged))
	}
}

// children starts processes and reads what they acknowledge.
type children struct {
	t              *testing.T
	dir, dsn, sink string
	mu             sync.Mutex
	acknowledged   map[string]string // message -> kind
	counts         string
}

// start starts one; the function that it gives kills it, or waits for its end when it drains.
func (c *children) start(drain string) (end func()) {
	c.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CAREPOST_TEST_CHILD="+c.dir, "CAREPOST_TEST_DSN="+c.dsn, "CAREPOST_TEST_SINK="+c.sink, "CAREPOST_TEST_DRAIN="+drain)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			kind, m, ok := strings.Cut(lines.Text(), " ")
			c.mu.Lock()
			if kind == "counts" {
				c.counts = lines.Text()
			} else if ok && len(m) == len(id.Message{}.String()) {
				c.acknowledged[m] = kind
			}
			c.mu.Unlock()
		}
	}()
	return func() {
		c.t.Helper()
		if drain == "" {
			_ = cmd.Process.Kill() // SIGKILL
		}
		<-read
		if err := cmd.Wait(); err != nil && drain != "" {
			c.t.Errorf("the last process: %v", err)
		}
	}
}

// waitFor is until without a store.
func (k *kit) waitFor(what string, ok func() bool) {
	k.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			k.t.Fatalf("%s: not within the time", what)
		}
	}
}

// newCA makes an authority whose certificate children find in the folder.
func newCA(t *testing.T, dir string) *world.Authority {
	t.Helper()
	ca, err := world.NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca"), ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return ca
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/ledger"
)

type ledgerWitnessCommand struct {
	Listen string   `required:"" help:"Address to serve HTTP on; what is served is signed, so that a proxy may add TLS." placeholder:"HOST:PORT"`
	Dir    string   `required:"" help:"Folder of the witness's key and of what it has seen; made when it is not there. Keep it on another machine than the ledgers, and never restore it from a backup."`
	Name   string   `help:"Name of the witness in its key, when that is made: a host of yours and a path. The setting host and /witness when left out."`
	Log    []string `help:"Public key of a ledger to watch, or a file that holds several, one a line. May repeat." placeholder:"KEY" sep:"none"`
}

// Run serves until a signal. The address that it listens on stands in the folder's file "address" as well, for port 0.
func (c *ledgerWitnessCommand) Run(e *env) (err error) {
	name := c.Name
	if name == "" {
		name = e.config.Host + "/witness"
	}
	w, err := ledger.OpenWitness(c.Dir, name, c.logs())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	var lc net.ListenConfig
	l, err := lc.Listen(e.ctx, "tcp", c.Listen)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the address cannot be listened on").At("--listen")
	}
	e.say("watching %d ledgers on %s", len(c.logs()), l.Addr())
	e.say("public key  %s", w.PublicKey())
	if err := os.WriteFile(filepath.Join(c.Dir, "address"), []byte(l.Addr().String()+"\n"), 0o600); err != nil {
		return errors.Join(fmt.Errorf("write the witness's address: %w", err), l.Close())
	}
	if err := serveWitness(e.ctx, w, l); err != nil {
		return err
	}
	return e.result(map[string]string{"public_key": w.PublicKey(), "address": l.Addr().String()})
}

// logs gives the keys on the command line and in the files that it names.
func (c *ledgerWitnessCommand) logs() (all []string) {
	for _, one := range c.Log {
		for line := range strings.Lines(keyText(one)) {
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, line)
			}
		}
	}
	return all
}

func serveWitness(ctx context.Context, w http.Handler, l net.Listener) error {
	s := &http.Server{
		Handler: w, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		ended <- s.Shutdown(grace)
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the witness: %w", err)
	}
	return <-ended
}

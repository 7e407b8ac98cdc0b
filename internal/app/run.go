package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// Run serves the socket and works off what is due until ctx ends or a part fails. It returns nil after an orderly stop.
func (a *App) Run(ctx context.Context) error {
	return a.join(ctx, a.run)
}

func (a *App) run(ctx context.Context) error {
	l, err := Listen(ctx, a.config.SocketPath())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan error, len(a.jobs())+2)
	running := 0
	start := func(name string, run func(context.Context) error) {
		running++
		go func() {
			err := run(ctx)
			if err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("%s: %w", name, err))
			}
			done <- err
		}()
	}
	start("socket", func(ctx context.Context) error { return a.Serve(ctx, l) })
	start("store", a.watchStore)
	for _, j := range a.jobs() {
		start(j.name, j.run)
	}
	if fork, forked, err := a.parts.Ledger.CheckFork(ctx); err == nil && forked {
		slog.ErrorContext(ctx, "the database is behind what its ledger signed: it was restored; nothing is sent until carepost ledger reopen", "trees", len(fork.Trees))
	}
	slog.InfoContext(ctx, "carepost is ready", "socket", a.config.SocketPath(), "engine", a.parts.Store.Engine())
	<-ctx.Done()
	for range running {
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			slog.WarnContext(ctx, "a part ended with an error", "error", err)
		}
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// watchStore stops the program when a commit failed in a way that a retry would only hide: a failed fsync, a full disk.
func (a *App) watchStore(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.parts.Store.Failed():
		return fault.New(fault.Unavailable, "the database failed").Hint("look at the disk, then start again")
	}
}

type peerKey struct{}

// Serve serves the API on a unix socket; the actor is the operator whose process is at the other end.
func (a *App) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			uid, ok := r.Context().Value(peerKey{}).(int)
			if !ok {
				http.Error(w, "the caller cannot be told", http.StatusForbidden)
				return
			}
			a.face.ServeHTTP(w, r.WithContext(api.WithActor(r.Context(), id.Operator(uid))))
		}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if uid, err := peer(c); err == nil {
				return context.WithValue(ctx, peerKey{}, uid)
			}
			return ctx
		},
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-ended:
		case <-ctx.Done():
		}
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(grace); err != nil {
			slog.WarnContext(ctx, "the socket was closed over a running request", "error", err)
		}
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the command socket: %w", err)
	}
	return nil
}

// peer gives the user whose process is at the other end of a unix socket, as the kernel says.
func peer(c net.Conn) (int, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, errors.New("app: not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return int(cred.Uid), nil
}

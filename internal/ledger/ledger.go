package ledger

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// Ledger writes and reads the trees of one database. It is safe for concurrent use.
type Ledger struct {
	st       *store.Store
	keys     *seal.Keys
	signer   Signer
	mark     *mark
	forked   atomic.Bool   // behind what was signed: nothing is appended until Reopen
	kick     chan struct{} // something waits for the sequencer
	signed   atomic.Int64  // when this node last signed, PostgreSQL
	followed atomic.Int64  // up to when the mark knows what other nodes signed
	asked    []asked       // witnesses; set before anything runs
	client   *http.Client

	mu       sync.Mutex
	appended map[id.Organisation]bool  // SQLite: trees that the running group may have appended to
	edges    map[id.Organisation]*edge // of trees used lately
	broken   map[id.Organisation]error // trees whose tables were changed by another hand
}

// edge is a tree's right edge as it was after this process's last commit to it.
type edge struct {
	tree *tree
	root [32]byte
	kept int64 // when a checkpoint was last put by
}

// maxEdges bounds the memory of edges: one has up to 25 KiB.
const maxEdges = 1024

// New opens the ledger of a database. On SQLite every group commit numbers, hashes and signs what it holds from here on; on
// PostgreSQL Run does. When the database is behind what was signed, CheckFork says so and no entry is taken until Reopen.
func New(ctx context.Context, st *store.Store, keys *seal.Keys, signer Signer) (*Ledger, error) {
	if signer.origin == "" {
		return nil, fault.New(fault.Invalid, "the ledger has no key").Hint("open it with OpenSigner")
	}
	m, err := openMark(signer)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		st: st, keys: keys, signer: signer, mark: m, kick: make(chan struct{}, 1),
		appended: map[id.Organisation]bool{}, edges: map[id.Organisation]*edge{},
		broken: map[id.Organisation]error{},
	}
	_, forked, err := l.CheckFork(ctx)
	if err != nil {
		return nil, err
	}
	if forked {
		l.forked.Store(true) // whoever runs it says so: the command that reopens it has nothing to complain of
	} else if err := l.adoptSigned(ctx); err != nil {
		return nil, err
	}
	if st.Engine() == store.SQLite {
		st.BeforeCommit(l.beforeCommit)
	}
	keys.KeepBook(l.keyBook())
	return l, nil
}

// PublicKey gives the key that Verify needs.
func (l *Ledger) PublicKey() string { return l.signer.PublicKey() }

// beforeCommit gives the group's entries their place in the trees, within the group's own transaction (SQLite).
func (l *Ledger) beforeCommit(ctx context.Context, tx *store.Tx) error {
	for _, org := range l.takeAppended() {
		if err := l.growByGroup(ctx, tx, org); err != nil {
			l.noteBroken(org, err)
			return fmt.Errorf("sequence the ledger of %s: %w", org, err)
		}
	}
	return nil
}

func (l *Ledger) takeAppended() []id.Organisation {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.appended) == 0 {
		return nil
	}
	orgs := make([]id.Organisation, 0, len(l.appended))
	for org := range l.appended {
		orgs = append(orgs, org)
	}
	clear(l.appended)
	slices.Sort(orgs)
	return orgs
}

func (l *Ledger) noteAppended(org id.Organisation) {
	l.mu.Lock()
	l.appended[org] = true
	l.mu.Unlock()
}

func (l *Ledger) edge(org id.Organisation) *edge {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.edges[org]
}

func (l *Ledger) keepEdge(org id.Organisation, e *edge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.edges) >= maxEdges && l.edges[org] == nil {
		for other := range l.edges { // any one: the next use reads it again
			delete(l.edges, other)
			break
		}
	}
	l.edges[org] = e
}

// wake tells the sequencer of this node that something waits.
func (l *Ledger) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// errTampered is the cause of the refusal to build on tables that do not fit what was signed.
var errTampered = errors.New("ledger: tables and signed head differ")

// noteBroken keeps a tree that cannot go on from stopping all others: it alone takes no more entries.
func (l *Ledger) noteBroken(org id.Organisation, err error) bool {
	if !errors.Is(err, errTampered) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken[org] = err
	return true
}

// refuses tells why a tree takes no entry. No ledger, no act.
func (l *Ledger) refuses(org id.Organisation) error {
	if l.forked.Load() {
		return errForked()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken[org]
}

func errForked() error {
	return fault.New(fault.Conflict, "the database is behind what the ledger has signed: it was restored from a backup").
		Hint("look at carepost doctor, then run carepost ledger reopen, which records what was lost")
}

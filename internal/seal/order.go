package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// Nodes tells which node this is and which live: those that may hold keys in memory.
type Nodes func(ctx context.Context) (self id.UUID, live []id.UUID, err error)

// silence is how long a node may go without looking for orders before it drops every key that it holds: others have stopped waiting for
// it by then, so an order may have been carried out without it.
const silence = 15 * time.Second

// lone is the node of a process that has no others.
var lone = id.UUID{15: 1}

// What an order tells the nodes to drop.
const (
	orderKey          = "key"          // one key
	orderOrganisation = "organisation" // all keys of the organisation
	orderEpochs       = "epochs"       // the epochs below a number
)

type order struct {
	org    id.Organisation
	id     id.UUID
	what   string
	number uint32
	made   int64
}

// Among gives the keys their nodes. Without, this process is alone.
func (k *Keys) Among(n Nodes) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.nodes = n
}

func (k *Keys) among(ctx context.Context) (id.UUID, []id.UUID, error) {
	k.mu.RLock()
	n := k.nodes
	k.mu.RUnlock()
	if n == nil {
		return lone, []id.UUID{lone}, nil
	}
	self, live, err := n(ctx)
	if err != nil {
		return self, nil, fmt.Errorf("ask which nodes live: %w", err)
	}
	return self, live, nil
}

// order tells every node to drop what the transaction destroys.
func (k *Keys) order(ctx context.Context, tx *store.Tx, what string, number uint32) error {
	if _, err := tx.Exec(ctx, insertOrder, tx.Organisation(), id.New[id.UUID](), what, number, store.Millis(tx.Now)); err != nil {
		return fmt.Errorf("tell the nodes what to drop: %w", err)
	}
	return nil
}

// Obey drops from this process's memory what was destroyed anywhere, and says so. Every node calls it every second or two; one that
// was silent for longer than its life among the nodes drops everything first.
func (k *Keys) Obey(ctx context.Context, now time.Time) error {
	self, _, err := k.among(ctx)
	if err != nil {
		return err
	}
	orders, err := k.orders(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	away := !k.heard.IsZero() && now.Sub(k.heard) > silence
	k.heard = now
	orders = slices.DeleteFunc(orders, func(o order) bool { return k.obeyed[o.id] })
	k.mu.Unlock()
	if away {
		if err := k.dropAll(); err != nil {
			return err
		}
	}
	if len(orders) == 0 {
		return nil
	}
	for _, o := range orders {
		k.drop(o)
	}
	return k.acknowledge(ctx, self, orders)
}

func (k *Keys) acknowledge(ctx context.Context, self id.UUID, orders []order) error {
	err := k.st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		acks := make([][]any, 0, len(orders))
		for _, o := range orders {
			acks = append(acks, []any{o.org, o.id, self, store.Millis(tx.Now)})
		}
		_, err := tx.ExecEach(ctx, insertAck, acks)
		return err
	})
	if err != nil {
		return fmt.Errorf("say what was dropped: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.obeyed) > 1<<16 {
		clear(k.obeyed) // obeying again costs nothing
	}
	for _, o := range orders {
		k.obeyed[o.id] = true
	}
	return nil
}

func (k *Keys) drop(o order) {
	if o.what == orderEpochs {
		k.ring.drop(o.number)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if o.what == orderOrganisation {
		k.forgetAll(o.org)
		return
	}
	k.forget(o.number, false)
}

// dropAll begins anew: keys are read again when they are asked for.
func (k *Keys) dropAll() error {
	k.mu.Lock()
	clear(k.byID)
	clear(k.current)
	clear(k.blind)
	clear(k.tokens)
	k.mu.Unlock()
	return k.ring.Reload()
}

func (k *Keys) orders(ctx context.Context) (all []order, err error) {
	err = k.st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) (err error) {
		rows, err := tx.Query(ctx, selectOrders)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var o order
			if err := rows.Scan(&o.org, &o.id, &o.what, &o.number, &o.made); err != nil {
				return err
			}
			all = append(all, o)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read what is to be dropped: %w", err)
	}
	return all, nil
}

// expire destroys the epochs whose window has passed. It tells the nodes first, and takes them out of the file when every node that
// lives has dropped them: one that is silent is waited for until its life among the nodes ends.
func (k *Keys) expire(ctx context.Context, now time.Time) (destroyed int, waiting []id.UUID, err error) {
	below, err := k.expired(ctx, now)
	if err != nil {
		return 0, nil, err
	}
	if err := k.Obey(ctx, now); err != nil {
		return 0, nil, err
	}
	if waiting, err = k.settle(ctx); err != nil || below == 0 {
		return 0, waiting, err
	}
	var dropped uint32
	err = k.st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, selectDropped).Scan(&dropped)
	})
	if err != nil {
		return 0, waiting, fmt.Errorf("read which epochs every node has dropped: %w", err)
	}
	destroyed, err = k.ring.destroy(min(below, dropped), now)
	return destroyed, waiting, err
}

// expired gives the lowest epoch that stays, and tells the nodes when that is news; 0 when none is to go.
func (k *Keys) expired(ctx context.Context, now time.Time) (below uint32, err error) {
	open, err := k.orders(ctx)
	if err != nil {
		return 0, err
	}
	err = k.st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		var lowest, marked, dropped uint32
		if err := tx.QueryRow(ctx, selectLowestEpoch).Scan(&lowest); err != nil {
			return fmt.Errorf("find the oldest epoch in use: %w", err)
		}
		if err := tx.QueryRow(ctx, selectMarked).Scan(&marked); err != nil {
			return fmt.Errorf("find the epoch of the database: %w", err)
		}
		if err := tx.QueryRow(ctx, selectDropped).Scan(&dropped); err != nil {
			return fmt.Errorf("read which epochs every node has dropped: %w", err)
		}
		below = k.ring.expiredBelow(min(lowest, marked), now)
		told := slices.ContainsFunc(open, func(o order) bool { return o.what == orderEpochs && o.number >= below })
		if below == 0 || below <= dropped || told {
			return nil
		}
		return k.order(ctx, tx, orderEpochs, below)
	})
	return below, err
}

// settle closes the orders that every live node has carried out, and gives the nodes that are still waited for.
func (k *Keys) settle(ctx context.Context) (waiting []id.UUID, err error) {
	orders, err := k.orders(ctx)
	if err != nil || len(orders) == 0 {
		return nil, err
	}
	_, live, err := k.among(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		err := k.st.Write(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
			acks, err := acknowledged(ctx, tx, o)
			if err != nil {
				return err
			}
			missing := slices.DeleteFunc(slices.Clone(live), func(n id.UUID) bool { return acks[n] })
			for _, n := range missing {
				if !slices.Contains(waiting, n) {
					waiting = append(waiting, n)
				}
			}
			if len(missing) > 0 {
				return nil
			}
			return k.closeOrder(ctx, tx, o)
		})
		if err != nil {
			return waiting, err
		}
	}
	return waiting, nil
}

// closeOrder ends an order. That of epochs has its entry in the book before the file goes: no entry, no destruction.
func (k *Keys) closeOrder(ctx context.Context, tx *store.Tx, o order) error {
	n, err := tx.Exec(ctx, closeOrder, store.Millis(tx.Now), o.org, o.id)
	if err != nil {
		return fmt.Errorf("end an order: %w", err)
	}
	if n == 0 || o.what != orderEpochs {
		return nil
	}
	return k.record(ctx, tx, Event{Kind: KeysDestroyed, Detail: map[string]string{
		"change": "epochs destroyed", "below": strconv.FormatUint(uint64(o.number), 10),
	}})
}

func acknowledged(ctx context.Context, tx *store.Tx, o order) (nodes map[id.UUID]bool, err error) {
	rows, err := tx.Query(ctx, selectAcks, o.org, o.id)
	if err != nil {
		return nil, fmt.Errorf("read who has dropped it: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	nodes = map[id.UUID]bool{}
	for rows.Next() {
		var n id.UUID
		if err := rows.Scan(&n); err != nil {
			return nil, fmt.Errorf("read who has dropped it: %w", err)
		}
		nodes[n] = true
	}
	return nodes, rows.Err()
}

// Waiting gives how many orders are open, and which live nodes have not carried them out.
func (k *Keys) Waiting(ctx context.Context) (open int, nodes []id.UUID, err error) {
	orders, err := k.orders(ctx)
	if err != nil || len(orders) == 0 {
		return 0, nil, err
	}
	_, live, err := k.among(ctx)
	if err != nil {
		return 0, nil, err
	}
	err = k.st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error {
		for _, o := range orders {
			acks, err := acknowledged(ctx, tx, o)
			if err != nil {
				return err
			}
			for _, n := range live {
				if !acks[n] && !slices.Contains(nodes, n) {
					nodes = append(nodes, n)
				}
			}
		}
		return nil
	})
	return len(orders), nodes, err
}

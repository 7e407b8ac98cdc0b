package api

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

type healthOutput struct {
	Body struct {
		State string `json:"state" enum:"ready,restored,failed" doc:"restored: the database is behind its ledger and waits for reopen"`
	}
}

func (f *Face) health(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	out := &healthOutput{}
	out.Body.State = "ready"
	select {
	case <-f.Store.Failed():
		out.Body.State = "failed"
		return out, nil
	default:
	}
	_, forked, err := f.Ledger.CheckFork(ctx)
	if forked {
		out.Body.State = "restored"
	}
	return out, err
}

// Epoch is an epoch of the key ring.
type Epoch struct {
	Number     uint32     `json:"number"`
	Made       time.Time  `json:"made"`
	Superseded *time.Time `json:"superseded,omitempty"`
}

type keysOutput struct {
	Body struct {
		Ring    string   `json:"ring" doc:"Where the ring's file is"`
		Custody string   `json:"custody" doc:"What the file's key is kept by: file (nothing but its mode), credential or transit"`
		Open    int      `json:"open" doc:"Destructions that not every live node has acknowledged"`
		Waiting []string `json:"waiting,omitempty" doc:"The nodes that have not"`
		Epochs  []Epoch  `json:"epochs"`
	}
}

func (f *Face) listKeys(ctx context.Context, _ *struct{}) (*keysOutput, error) {
	out := &keysOutput{}
	out.Body.Ring, out.Body.Custody = f.Ring.Path(), f.Custody
	open, nodes, err := f.Keys.Waiting(ctx)
	if err != nil {
		return nil, err
	}
	out.Body.Open = open
	for _, n := range nodes {
		out.Body.Waiting = append(out.Body.Waiting, n.String())
	}
	for _, e := range f.Ring.Epochs() {
		one := Epoch{Number: e.Number, Made: e.Made}
		if !e.Superseded.IsZero() {
			one.Superseded = &e.Superseded
		}
		out.Body.Epochs = append(out.Body.Epochs, one)
	}
	return out, nil
}

type rotateOutput struct {
	Body struct {
		Epoch     uint32 `json:"epoch"`
		Rewrapped int    `json:"rewrapped"`
		Destroyed int    `json:"destroyed" doc:"Epochs whose 35 days are over"`
	}
}

func (f *Face) rotateKeys(ctx context.Context, _ *struct{}) (*rotateOutput, error) {
	actor, _ := ctx.Value(actorKey{}).(id.Actor)
	r, err := f.Keys.Rotate(ctx, actor, f.Now())
	if err != nil {
		return nil, err
	}
	out := &rotateOutput{}
	out.Body.Epoch, out.Body.Rewrapped, out.Body.Destroyed = r.Epoch, r.Rewrapped, r.Destroyed
	return out, nil
}

func (f *Face) noteInstallation(ctx context.Context, tx *store.Tx, act ledger.Act, d ledger.Detail) error {
	key, err := f.Keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return err
	}
	return f.Ledger.Append(ctx, tx, ledger.Entry{Act: act, Detail: d}, key)
}

type escrowInput struct {
	Body struct {
		To   []string `json:"to" doc:"Who may recover: age recipients, age1..." minItems:"1" maxItems:"16"`
		Path string   `json:"path" doc:"The copy, by its absolute path on this machine; an older copy there is replaced" maxLength:"4096"`
	}
}

type escrowOutput struct {
	Body struct {
		Path string `json:"path"`
		To   int    `json:"to" doc:"How many may recover"`
	}
}

func (f *Face) createEscrow(ctx context.Context, in *escrowInput) (*escrowOutput, error) {
	if !filepath.IsAbs(in.Body.Path) {
		return nil, fault.New(fault.Invalid, "not an absolute path").At("path")
	}
	actor, _ := ctx.Value(actorKey{}).(id.Actor)
	// The entry comes first: a copy of the keys that nobody knows of is what the ledger is there to prevent.
	err := f.Store.Write(ctx, id.Scope{Actor: actor}, func(ctx context.Context, tx *store.Tx) error {
		detail := ledger.Detail{"change": "recovery copy of the ring begun"}
		for i, to := range in.Body.To {
			detail["to."+strconv.Itoa(i)] = to
		}
		return f.noteInstallation(ctx, tx, ledger.ActExport, detail)
	})
	if err != nil {
		return nil, err
	}
	if err := f.Escrow(in.Body.To, in.Body.Path); err != nil {
		return nil, err
	}
	out := &escrowOutput{}
	out.Body.Path, out.Body.To = in.Body.Path, len(in.Body.To)
	return out, nil
}

type backupInput struct {
	Body struct {
		Path string `json:"path" doc:"A new file on this machine, by its absolute path" maxLength:"4096"`
	}
}

type backupOutput struct {
	Body struct {
		Format    string `json:"format"`
		Bytes     int64  `json:"bytes"`
		Migration string `json:"migration"`
		Tables    int    `json:"tables"`
	}
}

func (f *Face) createBackup(ctx context.Context, in *backupInput) (*backupOutput, error) {
	if !filepath.IsAbs(in.Body.Path) {
		return nil, fault.New(fault.Invalid, "not an absolute path").At("path")
	}
	actor, _ := ctx.Value(actorKey{}).(id.Actor)
	// The entry comes first, so that the backup holds it: a copy that nobody knows of is what the ledger is there to prevent.
	err := f.Store.Write(ctx, id.Scope{Actor: actor}, func(ctx context.Context, tx *store.Tx) error {
		return f.noteInstallation(ctx, tx, ledger.ActBackup, ledger.Detail{"change": "backup begun"})
	})
	if err != nil {
		return nil, err
	}
	if err := f.Store.Backup(ctx, in.Body.Path); err != nil {
		return nil, at(err, "path")
	}
	info, err := store.Inspect(ctx, in.Body.Path)
	if err != nil {
		return nil, err
	}
	out := &backupOutput{}
	out.Body.Format, out.Body.Bytes, out.Body.Migration, out.Body.Tables = info.Format, info.Bytes, info.Migration, info.Tables
	return out, nil
}

// Finding is one thing that doctor looked at.
type Finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Text string `json:"text,omitempty"`
	Mend string `json:"mend,omitempty"`
}

type doctorOutput struct {
	Body struct {
		Healthy  bool      `json:"healthy"`
		Findings []Finding `json:"findings"`
	}
}

func (f *Face) doctor(ctx context.Context, _ *struct{}) (*doctorOutput, error) {
	out := &doctorOutput{}
	out.Body.Healthy = true
	for _, found := range f.Examine(ctx) {
		out.Body.Findings = append(out.Body.Findings, found)
		out.Body.Healthy = out.Body.Healthy && found.OK
	}
	return out, nil
}

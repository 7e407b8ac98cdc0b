package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

type ledgerInput struct{ Place }

type ledgerOutput struct {
	Body struct {
		Organisation string                `json:"organisation"`
		PublicKey    string                `json:"public_key" doc:"What an auditor needs besides the export"`
		Checkpoint   string                `json:"checkpoint" doc:"The newest signed checkpoint: give it away, to be verified against later"`
		Witnesses    []ledger.WitnessState `json:"witnesses" doc:"How far each witness of the settings has cosigned the tree"`
	}
}

func (f *Face) getLedger(ctx context.Context, in *ledgerInput) (*ledgerOutput, error) {
	s, err := f.scope(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &ledgerOutput{}
	out.Body.Organisation, out.Body.PublicKey = s.Organisation.String(), f.Ledger.PublicKey()
	signed, err := f.Ledger.Checkpoint(ctx, s.Organisation)
	if err != nil {
		return nil, err
	}
	out.Body.Checkpoint = string(signed)
	out.Body.Witnesses, err = f.Ledger.Witnessed(ctx, s.Organisation)
	return out, err
}

// Entry is an entry of the ledger as the face shows it.
type Entry struct {
	Number  int64             `json:"number"`
	At      time.Time         `json:"at"`
	Actor   string            `json:"actor"`
	Act     string            `json:"act"`
	Text    string            `json:"text"`
	Purpose string            `json:"purpose"`
	Detail  map[string]string `json:"detail,omitempty"`
	Gone    bool              `json:"detail_destroyed,omitempty"`
}

type entriesInput struct {
	Place
	Before int64  `query:"before" minimum:"0" doc:"Entries with a smaller number; 0 begins with the newest"`
	Limit  int    `query:"limit" minimum:"0" maximum:"1000"`
	Person string `query:"person" doc:"Entries about this person: who looked, what was disclosed, every message"`
}

type entriesOutput struct {
	Body struct {
		Entries []Entry `json:"entries"`
		Next    int64   `json:"next,omitempty" doc:"before of the next page"`
	}
}

func (f *Face) listEntries(ctx context.Context, in *entriesInput) (*entriesOutput, error) {
	out := &entriesOutput{}
	out.Body.Entries = []Entry{}
	return out, f.read(ctx, in, func(ctx context.Context, tx *store.Tx) error {
		q := ledger.Query{Before: in.Before, Limit: in.Limit}
		if in.Person == "" {
			page, err := f.Ledger.Entries(ctx, tx, q)
			return f.showEntries(ctx, tx, page, err, seal.Key{}, &out.Body.Entries, &out.Body.Next)
		}
		person, err := id.Parse[id.Person](in.Person)
		if err != nil {
			return err
		}
		key, err := f.People.Key(ctx, tx, person)
		if err != nil {
			return err
		}
		page, err := f.Ledger.About(ctx, tx, person, key, q)
		return f.showEntries(ctx, tx, page, err, key, &out.Body.Entries, &out.Body.Next)
	})
}

func (f *Face) showEntries(ctx context.Context, tx *store.Tx, page ledger.Page, err error, key seal.Key, to *[]Entry, next *int64) error {
	if err != nil {
		return err
	}
	for _, r := range page.Records {
		e := Entry{Number: r.Seq, At: r.Time, Actor: r.Actor.String(), Act: r.Act.String(), Text: r.Act.Text(), Purpose: r.Purpose.String()}
		if r.HasDetail() && (r.Subject.IsZero() || !key.IsZero()) {
			d, err := f.Ledger.OpenDetail(ctx, tx, r, key)
			switch {
			case err == nil:
				e.Detail = d
			case fault.Is(err, fault.Sealed):
				e.Gone = true
			default:
				return err
			}
		}
		*to = append(*to, e)
	}
	*next = page.Next
	return nil
}

func (f *Face) exportLedger(ctx context.Context, in *ledgerInput) (*huma.StreamResponse, error) {
	s, err := f.scope(ctx, in)
	if err != nil {
		return nil, err
	}
	signed, err := f.cosigned(ctx, s.Organisation)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		h.SetHeader("Content-Type", "application/x-tar")
		if err := f.Ledger.ExportAt(h.Context(), s.Organisation, signed, h.BodyWriter()); err != nil {
			// The archive ends before its time, and Verify says so: a status can no longer be sent.
			f.failed(h.Context(), "export-ledger", err)
		}
	}}, nil
}

// cosigned gives the checkpoint of the tree as it is now, cosigned by the witnesses that answer in time: an export waits for none that
// does not.
func (f *Face) cosigned(ctx context.Context, org id.Organisation) ([]byte, error) {
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	signed, err := f.Ledger.Cosign(ctx, org)
	if signed == nil {
		return nil, err
	}
	if err != nil {
		slog.WarnContext(ctx, "an export goes without a witness", "organisation", org, "error", err)
	}
	return signed, nil
}

type reopenOutput struct {
	Body struct {
		Trees []ReopenedTree `json:"trees"`
	}
}

// ReopenedTree says what a restore lost of one tree.
type ReopenedTree struct {
	Organisation string `json:"organisation"`
	Have         int64  `json:"have" doc:"Entries in the restored database"`
	From         int64  `json:"lost_from"`
	To           int64  `json:"lost_to" doc:"First entry after the lost ones"`
}

func (f *Face) reopenLedger(ctx context.Context, _ *struct{}) (*reopenOutput, error) {
	actor, _ := ctx.Value(actorKey{}).(id.Actor)
	fork, err := f.Ledger.Reopen(ctx, actor)
	if err != nil {
		return nil, err
	}
	out := &reopenOutput{}
	out.Body.Trees = []ReopenedTree{}
	for _, t := range fork.Trees {
		out.Body.Trees = append(out.Body.Trees, ReopenedTree{t.Organisation.String(), t.Have, t.From, t.To})
	}
	return out, nil
}

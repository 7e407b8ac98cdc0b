package app

import (
	"context"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/store"
)

// examine looks at what an administrator should know of, each finding with how to mend it.
func (a *App) examine(ctx context.Context) []api.Finding {
	var all []api.Finding
	add := func(what string, err error, good, mend string) {
		f := api.Finding{What: what, OK: err == nil, Text: good}
		if err != nil {
			f.Text, f.Mend = fault.Text(err), mend
		}
		all = append(all, f)
	}
	add("database", a.parts.Store.Check(ctx), string(a.parts.Store.Engine())+" answers and is whole", "restore the newest backup")
	_, forked, err := a.parts.Ledger.CheckFork(ctx)
	if err == nil && forked {
		err = fault.New(fault.Conflict, "the database is behind what its ledger signed: it was restored")
	}
	add("ledger", err, "is what was signed", "carepost ledger reopen, when the restore was meant")
	if a.config.Witnesses != "" {
		add("witnesses", a.witnessed(ctx, time.Now()), "have cosigned every tree within the last day", "look at the log for what they answer; give their operators the key that carepost ledger show prints")
	}
	add("key ring", a.keysApart(), "on another volume than the data, readable by its owner only", "move the key folder to another volume")
	add("key epoch", a.epochFresh(time.Now()), "begun within the last two days", "carepost key rotate; the server does so each night")
	add("recovery copy", a.copied(time.Now()), "written within the last two days for those who may recover", "set escrow-to to two officers' age recipients and escrow-file; docs/keys.md")
	add("swap", swapOff(), "off, or none", "turn swap off or encrypt it: memory holds records")
	add("disk", a.room(), "room for the database to grow", "free space on the data volume")
	all = append(all, a.examineOrganisations(ctx)...)
	return all
}

// witnessed looks whether each witness has cosigned each tree lately: what it has not seen can still be rewritten unnoticed.
func (a *App) witnessed(ctx context.Context, now time.Time) error {
	const late = 26 * time.Hour // a tree that does not grow is cosigned once a day
	for _, org := range append([]id.Organisation{id.Installation}, a.organisations(ctx)...) {
		all, err := a.parts.Ledger.Witnessed(ctx, org)
		if err != nil {
			return err
		}
		for _, w := range all {
			if w.Size+w.Behind > 0 && now.Sub(w.Time) > late {
				return fault.New(fault.Unavailable, "%s has not cosigned the last %d entries", w.Witness, w.Behind).At("%s", org)
			}
		}
	}
	return nil
}

func (a *App) keysApart() error {
	var data, keys unix.Stat_t
	if err := unix.Stat(a.config.Data, &data); err != nil {
		return fault.Wrap(fault.Invalid, err, "the data folder cannot be looked at")
	}
	if err := unix.Stat(a.config.Keys, &keys); err != nil {
		return fault.Wrap(fault.Invalid, err, "the key folder cannot be looked at")
	}
	if data.Dev == keys.Dev {
		return fault.New(fault.Invalid, "keys and data are on one volume: its image or backup gives both")
	}
	return nil
}

func (a *App) epochFresh(now time.Time) error {
	epochs := a.parts.Ring.Epochs()
	const stale = 48 * time.Hour
	if newest := epochs[len(epochs)-1]; now.Sub(newest.Made) > stale {
		return fault.New(fault.Invalid, "the newest epoch is %d days old: destroyed records are still in old backups", int(now.Sub(newest.Made).Hours()/24))
	}
	return nil
}

// copied looks whether the ring could be recovered when this machine is lost: without it everything would be.
func (a *App) copied(now time.Time) error {
	if a.config.EscrowTo == "" || a.config.EscrowFile == "" {
		return fault.New(fault.Invalid, "nobody could recover the ring: losing this machine is losing everything that it sealed")
	}
	at, err := os.Stat(a.config.EscrowFile)
	const stale = 48 * time.Hour
	if err != nil || now.Sub(at.ModTime()) > stale {
		return fault.New(fault.Invalid, "the recovery copy is missing or older than two days")
	}
	return nil
}

func swapOff() error {
	raw, err := os.ReadFile("/proc/swaps")
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "it cannot be told whether swap is on")
	}
	if strings.Count(strings.TrimSpace(string(raw)), "\n") == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "swap is on: records can be written to it")
}

func (a *App) room() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(a.config.Data, &fs); err != nil {
		return fault.Wrap(fault.Invalid, err, "the data volume cannot be looked at")
	}
	const least = 1 << 30
	if free := fs.Bavail * uint64(fs.Bsize); free < least {
		return fault.New(fault.Invalid, "%d MiB are left", free>>20)
	}
	return nil
}

// examineOrganisations looks whether each organisation can send at all: a domain, and a sender of the transactional class.
func (a *App) examineOrganisations(ctx context.Context) []api.Finding {
	var orgs []organisation.Summary
	err := a.parts.Store.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) (err error) {
		orgs, err = a.parts.Organisations.All(ctx, tx)
		return err
	})
	if err != nil {
		return []api.Finding{{What: "organisations", Text: fault.Text(err)}}
	}
	if len(orgs) == 0 {
		return []api.Finding{{What: "organisations", Text: "there is none", Mend: "carepost init makes one"}}
	}
	var all []api.Finding
	for _, o := range orgs {
		if o.State != organisation.Active {
			continue
		}
		f := api.Finding{What: o.Number.String(), OK: true, Text: "has a domain and a sender"}
		err := a.parts.Store.Read(ctx, id.System(o.Number), func(ctx context.Context, tx *store.Tx) error {
			_, err := a.parts.Organisations.SenderFor(ctx, tx, organisation.ClassTransactional)
			return err
		})
		if err != nil {
			f.OK, f.Text, f.Mend = false, fault.Text(err), "carepost domain add, then carepost organisation sender"
		}
		all = append(all, f)
	}
	return all
}

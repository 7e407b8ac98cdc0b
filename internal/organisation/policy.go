package organisation

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/store"
)

// Policy is the organisation's own choice of protection within the law. The zero value of every field is the careful answer.
type Policy struct {
	Version          int64    // counted from 1; a decision names it
	AcceptPKIX       bool     // a certificate that verifies for the MX name is proof enough of TLS, without MTA-STS or DANE
	Pickup           bool     // messages may wait here for their recipient
	SensitiveTLS     bool     // proven TLS may carry the sensitive classes (never 42 CFR 2)
	PlainRequestsOff bool     // documented requests for plain mail are not honoured
	ProtectAll       bool     // every message to a person counts as holding health information
	CareHours        law.Week // for care by text; zero takes the law's hours
	OtherHours       law.Week // for other texts; zero takes the law's hours
	MailHours        law.Week // for bulk mail; zero is any hour
	BulkPerWeek      int      // bulk messages to one person in 7 days; 0 is no limit
	PickupDays       int      // how long a message waits before its sender is told; 0 is 30
	RemindDays       []int    // days after which the recipient of a waiting message is reminded; none is 3 and 10
}

// policyRecord is the sealed form: words instead of numbers, so that an old version stays readable.
type policyRecord struct {
	AcceptPKIX       bool   `json:"accept_pkix,omitempty"`
	Pickup           bool   `json:"pickup,omitempty"`
	SensitiveTLS     bool   `json:"sensitive_tls,omitempty"`
	PlainRequestsOff bool   `json:"plain_requests_off,omitempty"`
	ProtectAll       bool   `json:"protect_all,omitempty"`
	CareHours        string `json:"care_hours,omitempty"`
	OtherHours       string `json:"other_hours,omitempty"`
	MailHours        string `json:"mail_hours,omitempty"`
	BulkPerWeek      int    `json:"bulk_per_week,omitempty"`
	PickupDays       int    `json:"pickup_days,omitempty"`
	RemindDays       []int  `json:"remind_days,omitempty"`
}

// DefaultPolicy is what a new organisation begins with: pickup on, no trust in a mere certificate, no sensitive class by TLS.
func DefaultPolicy() Policy { return Policy{Pickup: true, BulkPerWeek: 3} }

// Wait gives how long a message waits for its recipient before its sender is told.
func (p Policy) Wait() time.Duration {
	const days = 30
	if p.PickupDays == 0 {
		return days * 24 * time.Hour
	}
	return time.Duration(p.PickupDays) * 24 * time.Hour
}

// Reminders gives the times after which the recipient is reminded, in order, all before Wait is over.
func (p Policy) Reminders() []time.Duration {
	days := p.RemindDays
	if days == nil {
		days = []int{3, 10}
	}
	var out []time.Duration
	for _, d := range days {
		if after := time.Duration(d) * 24 * time.Hour; after < p.Wait() {
			out = append(out, after)
		}
	}
	return out
}

// Check tells what is wrong with a policy.
func (p Policy) Check() error {
	switch {
	case p.BulkPerWeek < 0 || p.BulkPerWeek > 1000:
		return fault.New(fault.Invalid, "not a number of messages in a week").At("bulk_per_week")
	case p.PickupDays < 0 || p.PickupDays > 365:
		return fault.New(fault.Invalid, "a message waits 1 to 365 days").At("pickup_days")
	case len(p.RemindDays) > 5:
		return fault.New(fault.Invalid, "at most 5 reminders").At("remind_days")
	}
	last := 0
	for _, d := range p.RemindDays {
		if d <= last {
			return fault.New(fault.Invalid, "reminders come on growing days").At("remind_days")
		}
		last = d
	}
	return nil
}

// Policy gives the policy in force.
func (o *Organisations) Policy(ctx context.Context, tx *store.Tx) (Policy, error) {
	version, err := newest(ctx, tx)
	if err != nil {
		return Policy{}, err
	}
	if version == 0 {
		return Policy{}, fault.New(fault.NotFound, "the organisation has no protection policy").Hint("carepost init makes one")
	}
	return remembered(o, tx, o.policies, version, func() (Policy, error) { return o.PolicyVersion(ctx, tx, version) })
}

// PolicyVersion gives one version, for an old decision.
func (o *Organisations) PolicyVersion(ctx context.Context, tx *store.Tx, version int64) (Policy, error) {
	var sealed []byte
	if err := tx.QueryRow(ctx, selectPolicy, tx.Organisation(), version).Scan(&sealed); err != nil {
		return Policy{}, fmt.Errorf("read version %d of the protection policy: %w", version, err)
	}
	var r policyRecord
	if err := o.openRecord(ctx, tx, "protection_policy", versionRow(version), sealed, &r); err != nil {
		return Policy{}, err
	}
	p := Policy{
		Version: version, AcceptPKIX: r.AcceptPKIX, Pickup: r.Pickup, SensitiveTLS: r.SensitiveTLS, PlainRequestsOff: r.PlainRequestsOff,
		ProtectAll: r.ProtectAll, BulkPerWeek: r.BulkPerWeek, PickupDays: r.PickupDays, RemindDays: r.RemindDays,
	}
	for _, h := range []struct {
		text string
		to   *law.Week
	}{{r.CareHours, &p.CareHours}, {r.OtherHours, &p.OtherHours}, {r.MailHours, &p.MailHours}} {
		if h.text == "" {
			continue
		}
		week, err := law.ParseWeek(h.text)
		if err != nil {
			return Policy{}, fmt.Errorf("read version %d of the protection policy: %w", version, err)
		}
		*h.to = week
	}
	return p, nil
}

// SetPolicy puts a new version in force from this transaction on, and gives its number.
func (o *Organisations) SetPolicy(ctx context.Context, tx *store.Tx, p Policy) (int64, error) {
	if err := p.Check(); err != nil {
		return 0, err
	}
	last, err := newest(ctx, tx)
	if err != nil {
		return 0, err
	}
	version := last + 1
	sealed, err := o.sealRecord(ctx, tx, "protection_policy", versionRow(version), policyRecord{
		AcceptPKIX: p.AcceptPKIX, Pickup: p.Pickup, SensitiveTLS: p.SensitiveTLS, PlainRequestsOff: p.PlainRequestsOff, ProtectAll: p.ProtectAll,
		CareHours: p.CareHours.String(), OtherHours: p.OtherHours.String(), MailHours: p.MailHours.String(),
		BulkPerWeek: p.BulkPerWeek, PickupDays: p.PickupDays, RemindDays: p.RemindDays,
	})
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, insertPolicy, tx.Organisation(), version, sealed, store.Millis(tx.Now)); err != nil {
		return 0, fmt.Errorf("set the protection policy: %w", err)
	}
	return version, o.note(ctx, tx, ledger.ActSetting, id.UUID{}, ledger.Detail{"setting": "protection policy", "version": strconv.FormatInt(version, 10)})
}

func newest(ctx context.Context, tx *store.Tx) (version int64, err error) {
	if err = tx.QueryRow(ctx, newestPolicy, tx.Organisation()).Scan(&version); err != nil {
		return 0, fmt.Errorf("read the protection policy: %w", err)
	}
	return version, nil
}

func versionRow(version int64) []byte { return []byte(strconv.FormatInt(version, 10)) }

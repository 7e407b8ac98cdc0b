package send

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/gate"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/organisation"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// MaxRecipients is how many recipients one Submit takes: they are one transaction.
const MaxRecipients = 1000

// typicalSize is the size of a message that was not rendered yet, in bytes.
const typicalSize = 12 << 10

// Open stores a request as a send, under an id of the caller's: the same id again is the same send, so that a caller who did not hear
// the answer may repeat it.
func (s *Sends) Open(ctx context.Context, tx *store.Tx, sid id.Send, r Request) error {
	newest := r.Version == 0
	if err := s.check(ctx, tx, &r); err != nil {
		return err
	}
	request, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the request of %s: %w", sid, err)
	}
	name, err := s.keys.Seal(ctx, tx, seal.PurposeSetting, sendCell("name", sid), []byte(r.Name))
	if err != nil {
		return fmt.Errorf("seal the name of %s: %w", sid, err)
	}
	sealed, err := s.keys.Seal(ctx, tx, seal.PurposeSetting, sendCell("request", sid), request)
	if err != nil {
		return fmt.Errorf("seal the request of %s: %w", sid, err)
	}
	n, err := tx.Exec(ctx, insertSend, tx.Organisation(), sid, r.Purpose, r.Class, r.Bulk, name, sealed, store.Millis(tx.Now))
	if err != nil {
		return fmt.Errorf("store %s: %w", sid, err)
	}
	if n == 0 {
		return s.same(ctx, tx, sid, r, newest)
	}
	return s.note(ctx, tx, ledger.ActSubmit, r.Purpose, sid, ledger.Detail{"change": "opened", "template": r.Template.String(), "version": strconv.Itoa(r.Version)})
}

// same refuses another request under the id of a send. A template may have got a newer version since.
func (s *Sends) same(ctx context.Context, tx *store.Tx, sid id.Send, r Request, newest bool) error {
	old, err := s.request(ctx, tx, sid)
	if err != nil {
		return err
	}
	if newest {
		r.Version = old.Version
	}
	was, err := json.Marshal(old)
	if err != nil {
		return fmt.Errorf("compare the request of %s: %w", sid, err)
	}
	is, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("compare the request of %s: %w", sid, err)
	}
	if !bytes.Equal(was, is) {
		return fault.New(fault.Conflict, "the id stands for another send").At("%s", sid).Hint("repeat the same request, or take a new id")
	}
	return nil
}

// check refuses what could never be sent, before anything is stored. What the law says of a recipient is the gate's to say, later.
func (s *Sends) check(ctx context.Context, tx *store.Tx, r *Request) error {
	switch {
	case strings.TrimSpace(r.Name) == "":
		return fault.New(fault.Invalid, "a send has a name that staff know").At("name")
	case r.Purpose == ledger.PurposeNone || !r.Purpose.Known():
		return fault.New(fault.Invalid, "the purpose is not declared").At("purpose").Hint("it is one of treatment, payment, operations, refill, fundraising, marketing, service")
	case r.Purpose == ledger.PurposeService:
		return fault.New(fault.Invalid, "service mail is made by the product itself, from fixed texts").At("purpose").Hint("declare what the message is for: treatment, payment, operations, refill, fundraising or marketing")
	case r.Purpose == ledger.PurposeRefill && len(r.Drug) == 0:
		return fault.New(fault.Invalid, "a refill reminder names its drug").At("drug").Hint("give its RxNorm codes: whether it is currently prescribed decides (45 CFR 164.501, marketing (2)(i))")
	case r.Demand == gate.MeansPGP || r.Demand == gate.MeansSMIME:
		return fault.New(fault.Invalid, "this release keeps no keys of recipients").At("demand").Hint("demand tls or pickup, or leave it to the gate")
	case r.Class != organisation.ClassTransactional && r.Class != organisation.ClassCommercial:
		return fault.New(fault.Invalid, "the mail class is not declared").At("class").Hint("it is transactional or commercial; it is never guessed from the purpose")
	case r.Payer.Who == gate.PayerUndeclared:
		return fault.New(fault.Invalid, "it is not declared who pays for the message").At("payer").Hint("self, or third-party with its remuneration")
	case !r.Expires.IsZero() && !r.Expires.After(tx.Now):
		return fault.New(fault.Invalid, "the send ends before it begins").At("expires")
	}
	sender, err := s.organisations.Sender(ctx, tx, r.Sender)
	if err != nil {
		return err
	}
	if sender.Class != r.Class {
		return fault.New(fault.Invalid, "the sender identity is for %s mail", sender.Class).At("sender").Hint("choose a sender of the class %s: its reputation is apart", r.Class)
	}
	if sender.State != organisation.Active {
		return fault.New(fault.Conflict, "the sender identity is closed").At("sender").Hint("choose another one")
	}
	version, err := s.templates.Version(ctx, tx, r.Template, r.Version)
	if err != nil {
		return err
	}
	if withdrawn, err := s.templates.Withdrawn(ctx, tx, r.Template); err != nil {
		return err
	} else if withdrawn {
		return fault.New(fault.Conflict, "the template is withdrawn").At("template").Hint("choose another one")
	}
	if version.Purpose != r.Purpose || version.Class != r.Class {
		return fault.New(fault.Invalid, "the template is declared for the purpose %s and the class %s", version.Purpose, version.Class).At("template").
			Hint("declare the same for the send, or choose another template")
	}
	r.Version = version.Number
	return nil
}

// Submit hands in messages of an open send: one durable row per recipient, in the caller's transaction; acknowledged only when that is
// committed. A person who has a message of this send already is passed over. It asks no DNS and no gate.
func (s *Sends) Submit(ctx context.Context, tx *store.Tx, sid id.Send, to []Recipient) (taken []id.Message, err error) {
	if len(to) > MaxRecipients {
		return nil, fault.New(fault.TooLarge, "more than %d recipients at once", MaxRecipients).At("recipients").Hint("hand them in by parts of the same send")
	}
	r, err := s.request(ctx, tx, sid)
	if err != nil {
		return nil, err
	}
	persons, values, err := s.recipients(ctx, tx, to)
	if err != nil {
		return nil, err
	}
	if persons, err = s.unwritten(ctx, tx, sid, persons); err != nil || len(persons) == 0 {
		return nil, err
	}
	ids := make([]id.Person, len(persons))
	for i, p := range persons {
		ids[i] = p.ID
	}
	keys, err := s.people.Keys(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	papers, err := s.consents.OfAll(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("read what people asked for: %w", err)
	}
	if taken, err = s.take(ctx, tx, sid, r, persons, keys, values, papers); err != nil || len(taken) == 0 {
		return nil, err
	}
	return taken, s.note(ctx, tx, ledger.ActSubmit, r.Purpose, sid, ledger.Detail{"messages": strconv.Itoa(len(taken))})
}

// unwritten leaves out who has a message of this send already.
func (s *Sends) unwritten(ctx context.Context, tx *store.Tx, sid id.Send, persons []people.Person) ([]people.Person, error) {
	ids := make([]id.Person, len(persons))
	for i, p := range persons {
		ids[i] = p.ID
	}
	have, err := column[id.Person](ctx, tx, selectWritten, tx.Organisation(), sid, store.Blobs(ids))
	if err != nil || len(have) == 0 {
		return persons, err
	}
	there := make(map[id.Person]bool, len(have))
	for _, p := range have {
		there[p] = true
	}
	return slices.DeleteFunc(persons, func(p people.Person) bool { return there[p.ID] }), nil
}

// recipients finds the people, each once, and each one's own values: of a person who is named twice the first count. A record that was
// merged into another stands for the one that is left.
func (s *Sends) recipients(ctx context.Context, tx *store.Tx, to []Recipient) ([]people.Person, map[id.Person]map[string]any, error) {
	given := map[id.Person]map[string]any{}
	var ids []id.Person
	for _, t := range to {
		if _, twice := given[t.Person]; !twice {
			ids = append(ids, t.Person)
			given[t.Person] = t.Values
		}
	}
	found, err := s.people.GetAll(ctx, tx, ids)
	if err != nil {
		return nil, nil, err
	}
	if len(found) < len(ids) {
		have := map[id.Person]bool{}
		for _, p := range found {
			have[p.ID] = true
		}
		for _, x := range ids {
			if !have[x] {
				return nil, nil, fault.New(fault.NotFound, "there is no such person").At("%s", x)
			}
		}
	}
	persons, values := make([]people.Person, 0, len(found)), map[id.Person]map[string]any{}
	for _, p := range found {
		own := given[p.ID]
		if !p.MergedInto.IsZero() {
			if p, err = s.survivor(ctx, tx, p.ID); err != nil {
				return nil, nil, err
			}
		}
		if _, twice := values[p.ID]; !twice {
			values[p.ID] = own
			persons = append(persons, p)
		}
	}
	return persons, values, nil
}

func (s *Sends) survivor(ctx context.Context, tx *store.Tx, merged id.Person) (people.Person, error) {
	root, err := s.people.Root(ctx, tx, merged)
	if err != nil {
		return people.Person{}, err
	}
	return s.people.Get(ctx, tx, root)
}

// maxValues is how many bytes the caller's values for one recipient may have.
const maxValues = 256 << 10

// take writes one row a person, and gives the rows to the queue.
func (s *Sends) take(
	ctx context.Context, tx *store.Tx, sid id.Send, r Request, persons []people.Person, keys map[id.Person]seal.Key, values map[id.Person]map[string]any,
	papers map[id.Person]consent.Record,
) ([]id.Message, error) {
	rows, taken := make([][]any, len(persons)), make([]id.Message, len(persons))
	for i, p := range persons {
		m := id.New[id.Message]()
		sealed, err := sealValues(keys[p.ID], m, values[p.ID])
		if err != nil {
			return nil, err
		}
		rows[i], taken[i] = []any{tx.Organisation(), m, sid, p.ID, Waiting, store.Millis(tx.Now), sealed}, m
	}
	n, err := tx.ExecEach(ctx, insertMessage, rows)
	if err != nil {
		return nil, fmt.Errorf("store messages: %w", err)
	}
	there := map[id.Message]bool{}
	if n < int64(len(rows)) { // somebody else handed in some of them at the same time
		have, err := column[id.Message](ctx, tx, selectStored, tx.Organisation(), store.Blobs(taken))
		if err != nil {
			return nil, err
		}
		for _, m := range have {
			there[m] = true
		}
	}
	fresh := make([]id.Message, 0, n)
	queue := make([]delivery.Row, 0, n)
	for i, p := range persons {
		m := taken[i]
		if n < int64(len(rows)) && !there[m] {
			continue
		}
		fresh = append(fresh, m)
		if to := choose(p.Core.Contacts, papers[p.ID].Confidential); to.Normal != "" {
			queue = append(queue, rowOf(r, m, p.ID, to))
			continue
		}
		// Nothing can be queued for somebody without an address; the gate says so at once, with every other reason there is.
		if err := s.decideNow(ctx, tx, sid, p, m, plain(values[p.ID])); err != nil {
			return nil, err
		}
	}
	return fresh, s.engine.EnqueueAll(ctx, tx, queue)
}

func sealValues(key seal.Key, m id.Message, values map[string]any) ([]byte, error) {
	vars, err := json.Marshal(values)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the values are not plain").At("values")
	}
	if len(vars) > maxValues {
		return nil, fault.New(fault.TooLarge, "the values are larger than %d KiB", maxValues>>10).At("values")
	}
	sealed, err := key.Seal(messageCell("vars", m), vars)
	if err != nil {
		return nil, fmt.Errorf("seal the values of %s: %w", m, err)
	}
	return sealed, nil
}

func (s *Sends) enqueue(ctx context.Context, tx *store.Tx, r Request, m id.Message, p id.Person, to people.ContactPoint) error {
	return s.engine.EnqueueAll(ctx, tx, []delivery.Row{rowOf(r, m, p, to)})
}

func rowOf(r Request, m id.Message, p id.Person, to people.ContactPoint) delivery.Row {
	return delivery.Row{
		Message: m, Person: p, Purpose: r.Purpose, Domain: domainOf(to.Normal), Kind: kindOf(r), Priority: priorityOf(r), Size: typicalSize, Expires: r.Expires,
	}
}

// priorityOf gives the priority in a lane: service messages, and one urgent message by itself, go before all that is on its way to
// many; 0 is the kind's own.
func priorityOf(r Request) delivery.Priority {
	if r.Purpose == ledger.PurposeService || r.Urgent && !r.Bulk {
		return delivery.PriorityCode
	}
	return 0
}

// kindOf gives the kind of delivery: what is doubtful is sent again for care and never for marketing.
func kindOf(r Request) delivery.Kind {
	switch {
	case r.Purpose == ledger.PurposeService:
		return delivery.Service
	case r.Class == organisation.ClassCommercial || r.Purpose == ledger.PurposeMarketing || r.Purpose == ledger.PurposeFundraising:
		return delivery.Marketing
	}
	return delivery.Care
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// request reads a send's request back.
func (s *Sends) request(ctx context.Context, tx *store.Tx, sid id.Send) (Request, error) {
	r, _, err := s.stored(ctx, tx, sid)
	return r, err
}

func (s *Sends) stored(ctx context.Context, tx *store.Tx, sid id.Send) (r Request, made time.Time, err error) {
	var name, sealed []byte
	var ms int64
	if err := tx.QueryRow(ctx, selectSend, tx.Organisation(), sid).Scan(&name, &sealed, &ms); err != nil {
		return r, made, missing(err, "there is no such send")
	}
	raw, err := s.keys.Open(ctx, tx, sendCell("request", sid), sealed)
	if err != nil {
		return r, made, fmt.Errorf("open the request of %s: %w", sid, err)
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, made, fmt.Errorf("read the request of %s: %w", sid, err)
	}
	return r, store.Time(ms), nil
}

func (s *Sends) note(ctx context.Context, tx *store.Tx, act ledger.Act, p ledger.Purpose, sid id.Send, d ledger.Detail) error {
	key, err := s.keys.Month(ctx, tx, seal.PurposeLedger)
	if err != nil {
		return fmt.Errorf("key for a ledger entry: %w", err)
	}
	return s.ledger.Append(ctx, tx, ledger.Entry{Act: act, Purpose: p, Object: sid.UUID(), Detail: d}, key)
}

func sendCell(column string, sid id.Send) seal.Cell {
	return seal.Cell{Table: "send", Column: column, Row: sid[:]}
}

func messageCell(column string, m id.Message) seal.Cell {
	return seal.Cell{Table: "message", Column: column, Row: m[:]}
}

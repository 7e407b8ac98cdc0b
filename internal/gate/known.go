package gate

import (
	"slices"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/people"
)

// recipient reads the person's record as facts.
func (w *loaded) recipient(a *Ask) Recipient {
	p, ok := w.persons[a.Person]
	if (a.Kind == RecipientStaff || a.Kind == RecipientPostmaster) && a.To != "" {
		return Recipient{Kind: a.Kind, Address: AddressUsable}
	}
	if !ok {
		return Recipient{}
	}
	core := &p.Core
	r := Recipient{
		Kind: RecipientPerson, Person: p.ID, Standing: core.Kind, Deceased: core.Deceased, Contact: a.Contact, OwnCare: a.OwnCare,
		State: stateOf(core), Zones: zonesOf(core),
	}
	if core.Kind == people.KindCorrespondent {
		r.Kind = RecipientCorrespondent
	}
	if !slices.Contains(core.Placeholder, people.PlaceholderBirthField) {
		// A birth year alone may be of a minor: the least age counts.
		r.Age, _, r.AgeKnown = core.Birth.AgeRange(people.DateOf(w.now))
	}
	for _, c := range core.Contacts {
		if c.ID == a.Contact {
			r.Address = addressOf(c, a.Message.Channel)
		}
	}
	if a.To != "" {
		r.Contact, r.Address = a.Contact, AddressUsable
		r.Holder, r.Proxy = proxyOf(core, a.To, people.DateOf(w.now))
	}
	return r
}

func addressOf(c people.ContactPoint, channel people.Channel) AddressState {
	switch {
	case c.Channel != channel || c.Normal == "" || c.State == people.ContactInvalid:
		return AddressInvalid
	case c.State == people.ContactUsable:
		return AddressUsable
	}
	return AddressUnproven // bounced, recycled, or the source calls it old
}

// proxyOf finds whose address it is that is not the person's own. An address of nobody on file is a proxy without authority.
func proxyOf(core *people.Core, to string, today people.Date) (Holder, Proxy) {
	for _, x := range core.Proxies {
		email, err := people.NormalEmail(x.Email)
		phone, errPhone := people.NormalPhone(x.Phone, "US")
		if (err != nil || email != to) && (errPhone != nil || phone != to) {
			continue
		}
		holder := HolderProxy
		if core.Deceased && represents(x.Relationship) {
			holder = HolderRepresentative
		}
		return holder, Proxy{Recorded: true, Ended: !x.Until.IsZero() && x.Until.Before(today)}
	}
	return HolderProxy, Proxy{}
}

// represents tells whether a relationship is that of a personal representative of somebody who died: 45 CFR 164.502(g)(4).
func represents(relationship string) bool {
	r := strings.ToLower(relationship)
	return strings.Contains(r, "execut") || strings.Contains(r, "administrator") || strings.Contains(r, "personal representative")
}

// stateOf gives the state of the current address.
func stateOf(core *people.Core) string {
	for _, a := range core.Addresses {
		if a.Use != "old" && (a.Country == "" || strings.EqualFold(a.Country, "US") || strings.EqualFold(a.Country, "USA")) {
			if s := strings.ToUpper(strings.TrimSpace(a.State)); len(s) == 2 {
				return s
			}
		}
	}
	return ""
}

func zonesOf(core *people.Core) []*time.Location {
	if core.Zone == "" {
		return nil
	}
	zone, err := time.LoadLocation(core.Zone)
	if err != nil {
		return nil // not known: the whole country must be open
	}
	return []*time.Location{zone}
}

// take reads the person's consent records as facts.
func (f *Facts) take(x consent.Record, today law.Date) {
	for _, a := range x.Authorizations {
		f.Authorizations = append(f.Authorizations, Authorization{
			ID: a.ID, Complete: len(a.Missing()) == 0, Signed: a.Signed(), Purposes: a.Purposes, Payers: a.Payers, StatesRemuneration: a.StatesRemuneration,
			Expires: a.Expires, EventReached: a.EventReached(), Revoked: a.Status != consent.InForce && !a.EventReached(),
		})
	}
	for _, p := range x.Part2 {
		f.Part2Consents = append(f.Part2Consents, Part2Consent{ID: p.ID, Holder: p.Holder, Expires: p.Expires, Revoked: p.Status != consent.InForce})
	}
	for _, r := range x.Restrictions {
		if r.Status == consent.InForce {
			f.Restrictions = append(f.Restrictions, Restriction{ID: r.ID, Purpose: r.Purpose, Topic: r.Topic, Proxy: r.Proxy, Payer: r.Payer})
		}
	}
	for _, c := range x.Confidential {
		if c.Status == consent.InForce {
			f.Confidential = append(f.Confidential, Confidential{
				ID: c.ID, PostOnly: c.PostOnly, Channel: c.Channel, Contact: c.Contact, Means: Means(c.Means),
			})
		}
	}
	for _, p := range x.PlainRequests {
		f.PlainRequests = append(f.PlainRequests, PlainRequest{
			ID: p.ID, Warned: p.Warned(), Revoked: p.Status != consent.InForce, Channel: p.Channel, Contact: p.Contact, Purposes: p.Purposes,
			Sensitive: p.Sensitive,
		})
	}
	for _, s := range x.Suppressions {
		if s.Status == consent.InForce && (s.Channel == 0 || s.Channel == f.Message.Channel) {
			f.OptOuts = append(f.OptOuts, OptOut{Ref: s.ID.String(), Scope: ScopePerson, Covers: s.Covers, Topic: s.Topic})
		}
	}
	f.said(x.Said(today))
}

// said reads answers: a yes is an opt-in, a no or a withdrawal an opt-out of what it named.
func (f *Facts) said(all []consent.Said) {
	for _, s := range all {
		switch s.State {
		case "given":
			f.OptIns = append(f.OptIns, OptIn{ID: s.ID, Channel: s.Channel, Topic: s.Topic, Written: s.Written})
		case "refused", "revoked":
			if s.Channel != 0 && s.Channel != f.Message.Channel {
				continue
			}
			o := OptOut{Ref: s.ID.String(), Scope: ScopePerson, Covers: CoversTopic, Topic: s.Topic}
			if s.Topic == "" {
				o.Covers = CoversAll
				if s.Channel == people.ChannelPhone {
					o.Covers = CoversTexts
				}
			}
			f.OptOuts = append(f.OptOuts, o)
		}
	}
}

package demo

import (
	"context"
	"net/url"
	"time"

	"github.com/carepost/carepost/internal/world"
)

// source is the name of the feed of the story.
const source = "lakeside-ehr"

// imported is what an import reports, as far as the story tells it.
type imported struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Error  string `json:"error"`
	Result struct {
		Lines  int64 `json:"lines"`
		People struct {
			Created int64 `json:"created"`
		} `json:"people"`
		Facts       int64            `json:"facts"`
		Events      int64            `json:"events"`
		Quarantined int64            `json:"quarantined"`
		Reasons     map[string]int64 `json:"reasons"`
		Kinds       map[string]struct {
			Applied     int64 `json:"applied"`
			Skipped     int64 `json:"skipped"`
			Quarantined int64 `json:"quarantined"`
		} `json:"kinds"`
	} `json:"result"`
}

func (i imported) settled() (n int64) {
	for _, k := range i.Result.Kinds {
		n += k.Applied + k.Skipped + k.Quarantined
	}
	return n
}

// load imports a folder of FHIR Bulk Data and waits until it is done.
func (s *story) load(ctx context.Context, dir string, resources int) (imported, error) {
	var at imported
	if err := s.api.post(ctx, "/imports", object{"source": source, "path": dir}, &at); err != nil {
		return at, err
	}
	path := "/imports/" + url.PathEscape(at.ID)
	err := s.until(ctx, time.Minute, "the export is imported", func() (bool, error) {
		at = imported{}
		if err := s.api.get(ctx, path, nil, &at); err != nil {
			return false, err
		}
		s.screen.bar(at.settled(), int64(resources), "resources")
		return at.State == "done" || at.State == "failed", nil
	})
	s.hold(at.State == "done", "the import is done (it is %s: %s)", at.State, at.Error)
	return at, err
}

type object = map[string]any

// papers gives what the organisation holds on paper about people, as the API takes it.
func papers(people []world.Person, now time.Time) (records []object) {
	for _, p := range people {
		who := object{"system": world.MRNSystem, "value": p.MRN}
		add := func(kind string, fields object) {
			fields["identifier"], fields["kind"], fields["how"] = who, kind, "form"
			records = append(records, fields)
		}
		switch p.Paperwork.Authorization {
		case "valid":
			add("authorization", authorization(p, now.AddDate(0, -2, 0), now.AddDate(1, 0, 0)))
		case "expired":
			add("authorization", authorization(p, now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0)))
		}
		if p.Paperwork.Restriction {
			add("restriction", object{"purpose": "marketing"})
		}
		if p.Paperwork.OptOut && !fed(p) {
			add("suppression", object{"covers": "commercial", "reason": "asked"})
		}
		if p.Paperwork.PlainRequest {
			add("plain-request", object{
				"warning": "Mail without protection can be read by others on its way.", "answer": "Yes, I understand and want it so.", "purposes": []string{"treatment"},
			})
		}
		switch p.Paperwork.Confidential {
		case "post":
			add("confidential", object{"post_only": true})
		case "second":
			add("confidential", object{"contact": p.Emails[1]})
		}
	}
	return records
}

// fed tells whether the person's opt-out is known from the export alone: a refusal there applies at once.
func fed(p world.Person) bool { return p.Paperwork.OptOut && p.Number%2 == 0 }

// authorization is a whole authorization for the paid offer: 45 CFR 164.508(c), (a)(3)(ii).
func authorization(p world.Person, signed, expires time.Time) object {
	return object{
		"purposes": []string{"marketing"}, "purpose": "offers of products for diabetics", "payers": []string{payer}, "states_remuneration": true,
		"information": "name, address and that I live with diabetes", "discloser": ourName, "receiver": payer,
		"signer": p.Given + " " + p.Family, "signed_on": signed.Format(time.DateOnly), "expires": expires.Format(time.DateOnly),
		"states_revocation": true, "states_conditions": true, "states_redisclosure": true, "plain_language": true, "copy_given": true,
	}
}

// record hands the papers in, a thousand at a time.
func (s *story) record(ctx context.Context, records []object) error {
	const most = 1000
	for len(records) > 0 {
		n := min(most, len(records))
		var out struct {
			Recorded int `json:"recorded"`
		}
		if err := s.api.post(ctx, "/records", object{"records": records[:n]}, &out); err != nil {
			return err
		}
		s.hold(out.Recorded == n, "%d papers are recorded (%d are)", n, out.Recorded)
		records = records[n:]
	}
	return nil
}

// know finds each person's id by the record number of a system, as the front desk would.
func (s *story) know(ctx context.Context, system string) error {
	s.byID = make(map[string]*world.Person, len(s.people))
	for i := range s.people {
		p := &s.people[i]
		var out struct {
			People []string `json:"people"`
		}
		if err := s.api.post(ctx, "/people/find", map[string]string{"identifier": system + "|" + p.MRN}, &out); err != nil {
			return err
		}
		if len(out.People) == 1 {
			s.byID[out.People[0]] = p
		}
	}
	s.hold(len(s.byID) == len(s.people), "each of %d people is found by record number, once (%d are)", len(s.people), len(s.byID))
	return nil
}

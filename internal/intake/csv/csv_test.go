package csv_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/consent"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/intake"
	"github.com/carepost/carepost/internal/intake/csv"
	"github.com/carepost/carepost/internal/people"
	"github.com/carepost/carepost/internal/store"
)

var scope = id.System(1)

// desk is a store with people, consents and an intake, for one test.
type desk struct {
	t  testing.TB
	st *store.Store
	p  *people.People
	c  *consent.Consents
	in *intake.Intake
}

func open(t testing.TB, st *store.Store) *desk {
	t.Helper()
	keys, led := caretest.Ground(t, st)
	d := &desk{t: t, st: st, p: people.New(st, keys, led)}
	d.c = consent.New(keys, led, d.p)
	d.in = intake.New(intake.Needs{
		Store: st, Keys: keys, Ledger: led, People: d.p, Mappers: []intake.Mapper{csv.Mapper{}}, Propose: d.c.ProposeFacts,
		Suppress: d.c.SuppressAll, Withdraw: d.c.WithdrawFacts, WithdrawSuppressions: d.c.WithdrawImport,
	})
	return d
}

func (d *desk) options(path string, asked csv.Asked) intake.Options {
	d.t.Helper()
	m, err := csv.Propose(path, asked)
	if err != nil {
		d.t.Fatal(err)
	}
	settings, err := m.Settings()
	if err != nil {
		d.t.Fatal(err)
	}
	return intake.Options{Source: "list", Format: "csv", Files: []intake.File{{Path: path}}, Settings: settings}
}

func (d *desk) run(o intake.Options) *intake.Result {
	d.t.Helper()
	r, err := d.in.Import(context.Background(), scope, o)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *desk) read(fn func(ctx context.Context, tx *store.Tx) error) {
	d.t.Helper()
	if err := d.st.Read(context.Background(), scope, fn); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) write(text string) string {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "list.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// everyone gives all people, by their first address or identifier.
func (d *desk) everyone() map[string]people.Person {
	d.t.Helper()
	all := map[string]people.Person{}
	d.read(func(ctx context.Context, tx *store.Tx) error {
		list, err := d.p.List(ctx, tx, 0, 10_000)
		if err != nil {
			return err
		}
		for _, x := range list {
			p, err := d.p.Get(ctx, tx, x)
			if err != nil {
				return err
			}
			key := x.String()
			if len(p.Core.Identifiers) > 0 {
				key = p.Core.Identifiers[0].Value
			} else if len(p.Core.Contacts) > 0 {
				key = p.Core.Contacts[0].Normal
			}
			all[key] = p
		}
		return nil
	})
	return all
}

func (d *desk) facts(p id.Person) (all []people.Fact) {
	d.read(func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = d.p.Facts(ctx, tx, p)
		return err
	})
	return all
}

func reasons(r *intake.Result) (all []string) {
	for _, x := range r.Refusals {
		all = append(all, strings.TrimSpace(string(rune('0'+x.Line%10)))+" "+x.Reason)
	}
	return all
}

func warned(r *intake.Result, field, reason string) int64 {
	for _, w := range r.Warnings {
		if w.Field == field && w.Reason == reason {
			return w.Count
		}
	}
	return 0
}

// TestKnownFiles: exports are recognised by their headers, and what is detected stands in the mapping.
func TestKnownFiles(t *testing.T) {
	for _, c := range []struct {
		file, known, encoding, delimiter string
		header                           int64
		columns                          int
	}{
		{"mailchimp_subscribed.csv", "mailchimp", csv.UTF8, ",", 1, 14},
		{"mailchimp_unsubscribed.csv", "mailchimp-unsubscribed", csv.UTF8, ",", 1, 2},
		{"listmonk_subscribers.csv", "listmonk", csv.UTF8, ",", 1, 5},
		{"sendgrid_contacts.csv", "sendgrid", csv.UTF8, ",", 1, 14},
		{"suppression_global.csv", "sendgrid-suppressions", csv.UTF8, ",", 1, 3},
		{"mautic_contacts.csv", "mautic", csv.UTF8, ",", 1, 12},
		{"ehr_report_cp1252.csv", "epic", csv.Windows, ",", 4, 13},
		{"ehr_report_utf16le_tab.txt", "epic", csv.UTF16LE, "\t", 1, 13},
		{"excel_utf8_bom_semicolon.csv", "epic", csv.UTF8, ";", 1, 13},
		{"classic_mac_cr.csv", "", csv.UTF8, ",", 1, 2},
		{"synthea_patients.csv", "synthea-patients", csv.UTF8, ",", 1, 13},
		{"synthea_conditions.csv", "synthea-conditions", csv.UTF8, ",", 1, 6},
		{"synthea_encounters.csv", "synthea-encounters", csv.UTF8, ",", 1, 7},
		{"synthea_medications.csv", "synthea-medications", csv.UTF8, ",", 1, 5},
		{"synthea_immunizations.csv", "synthea-immunizations", csv.UTF8, ",", 1, 4},
	} {
		m, err := csv.Propose(filepath.Join("testdata", c.file), csv.Asked{})
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if m.Known != c.known || m.Encoding != c.encoding || m.Delimiter != c.delimiter || m.Header != c.header || len(m.Columns) != c.columns {
			t.Errorf("%s: %q, %s, %q, header in line %d, %d columns", c.file, m.Known, m.Encoding, m.Delimiter, m.Header, len(m.Columns))
		}
		settings, err := m.Settings()
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
		}
		again, err := csv.Read(settings)
		if err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		if text, err := again.Settings(); err != nil || string(text) != string(settings) {
			t.Errorf("%s: the mapping does not come back as it was: %v", c.file, err)
		}
		// The same mapping, without what was detected, finds its columns by their headers.
		for i := range again.Columns {
			again.Columns[i].At = 0
		}
		bound, err := csv.Propose(filepath.Join("testdata", c.file), csv.Asked{Mapping: again})
		if err != nil {
			t.Errorf("%s with its mapping: %v", c.file, err)
		} else if text, _ := bound.Settings(); string(text) != string(settings) {
			t.Errorf("%s with its mapping: %s", c.file, text)
		}
	}
}

// TestReport: a report of an EHR, in three encodings, becomes the same people with the same facts.
func TestReport(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		for _, file := range []string{"ehr_report_cp1252.csv", "excel_utf8_bom_semicolon.csv", "ehr_report_utf16le_tab.txt"} {
			d := open(t, caretest.Open(t))
			r := d.run(d.options(filepath.Join("testdata", file), csv.Asked{}))
			if r.Kinds["person"] == nil || r.Kinds["person"].Applied < 7 {
				t.Fatalf("%s: %+v", file, r.Refusals)
			}
			all := d.everyone()
			p := all["0054400"]
			if len(p.Core.Names) == 0 || p.Core.Names[0].Family != "NÚÑEZ" || p.Core.Names[0].Given[0] != "JOSÉ" || p.Core.Birth.String() != "1975-12-01" ||
				p.Core.Sex != people.SexFemale || !slices.Equal(p.Core.Languages, []string{"es"}) {
				t.Errorf("%s: %+v", file, p.Core)
			}
			if p := all["0012345"]; p.Core.Birth.String() != "1968-02-29" || len(p.Core.Contacts) != 2 || p.Core.Contacts[0].Normal != "amara.okafor@example.com" ||
				p.Core.Contacts[1].Normal != "+12125550143" {
				t.Errorf("%s: %+v", file, p.Core)
			}
			if p := all["0054403"]; len(p.Core.Names) > 0 && (p.Core.Names[0].Family != "SMITH" || p.Core.Names[0].Suffix != "JR." || p.Core.Names[0].Given[0] != "MARY-JO") {
				t.Errorf("%s: %+v", file, p.Core.Names)
			}
			kinds := map[people.FactKind]int{}
			var codes []string
			for _, f := range d.facts(p.ID) {
				kinds[f.Kind]++
				for _, c := range f.Codes {
					codes = append(codes, c.System+":"+c.Code)
				}
			}
			slices.Sort(codes)
			if kinds[people.FactEncounter] != 1 || kinds[people.FactAppointment] != 0 || !slices.Equal(codes, []string{"icd10cm:E119", "icd10cm:I10"}) {
				t.Errorf("%s: %v %v", file, kinds, codes)
			}
		}
		_ = st
	})
}

// TestSpreadsheet: what a spreadsheet has spoilt is left out with its reason, and the rest of the record goes in.
func TestSpreadsheet(t *testing.T) {
	d := open(t, caretest.Open(t))
	r := d.run(d.options(filepath.Join("testdata", "excel_mangled.csv"), csv.Asked{}))
	for _, w := range []struct {
		field, reason string
	}{
		{"column 1", "a number that a spreadsheet has rounded"},
		{"column 2", "not a date as the column writes them"},
		{"column 2", "a column that was too narrow: the value is gone"},
		{"column 3", "a number that a spreadsheet has rounded"},
		{"column 4", "a postal code that has lost its zeros, or none"},
		{"column 4", "a formula"},
		{"column 6", "no code"},
	} {
		if warned(r, w.field, w.reason) == 0 {
			t.Errorf("%s: %s is not said: %+v", w.field, w.reason, r.Warnings)
		}
	}
	all := d.everyone()
	if p := all["12345"]; p.Core.Birth.String() != "1968-02-29" || p.Core.Addresses[0].PostalCode != "02108-0001" {
		t.Errorf("%+v", p.Core)
	}
	if p := all["54400"]; p.Core.Birth.String() != "1975-01-12" || len(p.Core.Addresses) != 0 {
		t.Errorf("%+v", p.Core)
	}
	if _, there := all["amara@example.com"]; !there {
		t.Error("the record with a rounded number is not known by its address")
	}
}

// TestBadRecords: a bad record costs itself, and is told by its line.
func TestBadRecords(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		d := open(t, st)
		o := d.options(filepath.Join("testdata", "bare_quotes_and_short_rows.csv"), csv.Asked{})
		o.DryRun = true
		dry := d.run(o)
		o.DryRun = false
		r := d.run(o)
		want := []string{"5 fewer cells than the header has: a line broken in two?", "6 more cells than the header has", "9 nothing says whom the record is about"}
		if got := reasons(r); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		all := d.everyone()
		if len(all) != 4 { // 1, 2, 5 and 6; the tenth is the first in another case
			t.Errorf("%d people", len(all))
		}
		if p := all["user6@example.com"]; len(p.Core.Contacts) != 2 {
			t.Errorf("two addresses in one cell: %+v", p.Core.Contacts)
		}
		dry.DryRun, dry.Import = false, r.Import
		a, _ := json.Marshal(dry)
		b, _ := json.Marshal(r)
		if string(a) != string(b) {
			t.Errorf("the dry run said\n%s\nthe import\n%s", a, b)
		}
		// What was refused is kept as it came.
		d.read(func(ctx context.Context, tx *store.Tx) error {
			q, err := d.in.Quarantine(ctx, tx, r.Import, 0, 10)
			if err != nil || len(q) != 3 || !q[0].Kept || q[0].Line != 5 {
				t.Fatalf("%+v %v", q, err)
			}
			m, err := d.in.RawLine(ctx, tx, r.Import, 1, 5)
			if err != nil || string(m.Body) != "user3@example.com" {
				t.Errorf("%q %v", m.Body, err)
			}
			return nil
		})
		again := d.run(o)
		if again.Facts != 0 || again.People.Created != 0 {
			t.Errorf("the same file again: %+v", again)
		}
	})
}

// TestDates: one way for a column, ISO and letters in every one, and nothing that might be two days.
func TestDates(t *testing.T) {
	d := open(t, caretest.Open(t))
	r := d.run(d.options(filepath.Join("testdata", "two_digit_and_mixed_dates.csv"), csv.Asked{}))
	all := d.everyone()
	for mrn, want := range map[string]string{"1": "1968-02-29", "2": "", "3": "1968-02-29", "4": "", "5": "1968", "6": "", "7": "", "8": "1968-04-05", "9": "1900-01-01"} {
		if got := all[mrn].Core.Birth.String(); got != want {
			t.Errorf("record %s: %q, want %q", mrn, got, want)
		}
	}
	if n := warned(r, "column 2", "not a date as the column writes them"); n != 4 {
		t.Errorf("%d dates are not read", n)
	}
	twofold := d.write("mrn,dob\n1,04/05/1968\n2,05/04/1970\n")
	m, err := csv.Propose(twofold, csv.Asked{})
	if err != nil || !slices.Equal(m.Undecided(), []int{2}) {
		t.Fatalf("%v %v", m, err)
	}
	if _, err := m.Settings(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "two ways") {
		t.Errorf("dates that may be two: %v", err)
	}
	d = open(t, caretest.Open(t))
	d.run(d.options(twofold, csv.Asked{Dates: "d/m/y"}))
	if got := d.everyone()["1"].Core.Birth.String(); got != "1968-05-04" {
		t.Errorf("read as asked: %s", got)
	}
}

// TestOptOuts: a list of addresses makes nobody a person; its words hold for the addresses, whoever has them.
func TestOptOuts(t *testing.T) {
	caretest.Databases(t, func(t *testing.T, st *store.Store) {
		d := open(t, st)
		d.run(d.options(filepath.Join("testdata", "listmonk_subscribers.csv"), csv.Asked{}))
		before := len(d.everyone())
		for _, file := range []string{"mailchimp_unsubscribed.csv", "suppression_global.csv"} {
			d.run(d.options(filepath.Join("testdata", file), csv.Asked{}))
		}
		if after := len(d.everyone()); after != before {
			t.Errorf("%d people more", after-before)
		}
		for address, want := range map[string][]consent.Covers{
			"amara.okafor@example.com": {consent.CoversAll, consent.CoversCommercial}, // listmonk blocks it, and it unsubscribed
			"sian@example.net":         {consent.CoversAll, consent.CoversCommercial}, // complained, and unsubscribed
			"jose.nunez@example.org":   {consent.CoversAddress, consent.CoversCommercial},
			"zoe@xn--exmple-cua.de":    {consent.CoversCommercial},
		} {
			var got []consent.Covers
			d.read(func(ctx context.Context, tx *store.Tx) error {
				at := consent.At{Channel: people.ChannelEmail, Address: address}
				all, err := d.c.Suppressed(ctx, tx, []consent.At{at})
				for _, s := range all[at] {
					got = append(got, s.Covers)
				}
				return err
			})
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", address, got, want)
			}
		}
	})
}

// TestWishes: a yes of a list waits for a person, with its time and evidence; a no applies at once.
func TestWishes(t *testing.T) {
	d := open(t, caretest.Open(t))
	d.run(d.options(filepath.Join("testdata", "mailchimp_subscribed.csv"), csv.Asked{}))
	p := d.everyone()["amara.okafor@example.com"]
	if p.Core.Kind != people.KindProspect || p.Core.Zone != "America/Chicago" {
		t.Errorf("%+v", p.Core)
	}
	of := func() (r consent.Record) {
		d.read(func(ctx context.Context, tx *store.Tx) (err error) {
			r, err = d.c.Of(ctx, tx, p.ID)
			return err
		})
		return r
	}
	if r := of(); len(r.Consents) != 0 || len(r.Proposals) != 1 || r.Proposals[0].Status != consent.Proposed || r.Proposals[0].Channel != people.ChannelEmail {
		t.Errorf("%+v", r)
	}
	no := d.write("Contact ID,Email,Newsletter\n1,amara.okafor@example.com,no\n")
	m := &csv.Mapping{Columns: []csv.Column{
		{Header: "Contact ID", Field: "key"}, {Header: "Email", Field: "email"}, {Header: "Newsletter", Field: "consent", To: "email", Topic: "news"},
	}}
	o := d.options(no, csv.Asked{Mapping: m})
	o.Source = "other"
	d.run(o)
	var refused []string
	d.read(func(ctx context.Context, tx *store.Tx) error {
		list, err := d.p.ByContact(ctx, tx, people.ChannelEmail, "amara.okafor@example.com")
		for _, x := range list {
			r, err := d.c.Of(ctx, tx, x)
			if err != nil {
				return err
			}
			for _, c := range r.Consents {
				if c.Refused {
					refused = append(refused, c.Topic)
				}
			}
		}
		return err
	})
	if !slices.Equal(refused, []string{"news"}) {
		t.Errorf("refused: %q", refused)
	}
}

// TestSeveralFiles: files of facts find the people of another file by the source's own key, in any order.
func TestSeveralFiles(t *testing.T) {
	for _, files := range [][]string{
		{"patients", "conditions", "encounters", "medications", "immunizations"}, {"immunizations", "conditions", "patients", "medications", "encounters"},
	} {
		d := open(t, caretest.Open(t))
		facts := int64(0)
		for _, f := range files {
			r := d.run(d.options(filepath.Join("testdata", "synthea_"+f+".csv"), csv.Asked{}))
			facts += r.Facts
			if len(r.Refusals) > 0 {
				t.Errorf("%s: %+v", f, r.Refusals)
			}
		}
		named := 0
		all := d.everyone()
		for _, p := range all {
			if len(p.Core.Names) > 0 {
				named++
			}
			for _, x := range p.Core.Identifiers {
				t.Errorf("an identifier was kept: %s", x.Type)
			}
		}
		if named != 29 || len(all) != 29 {
			t.Errorf("%v: %d people, %d with names, %d facts", files, len(all), named, facts)
		}
	}
}

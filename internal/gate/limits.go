package gate

import (
	"time"

	"github.com/carepost/carepost/internal/law"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/people"
)

// unitedStates stands for a zone that is not known: hours must be open from the Atlantic to Hawaii, in summer and in winter.
var unitedStates = []*time.Location{time.FixedZone("", -4*3600), time.FixedZone("", -10*3600)}

// hours: 47 CFR 64.1200(c)(1) and the states' narrower hours bind solicitation; the organisation's own hours bind the rest.
func hours(f *Facts, v *verdict) {
	m := &f.Message
	week, any := f.hours(v)
	if !any {
		return
	}
	zones := f.Recipient.Zones
	if len(zones) == 0 {
		zones = unitedStates
	}
	open := opening(f.Now, week, zones)
	if open.Equal(f.Now) {
		return
	}
	solicits := v.marketing || m.Text == TextMarketing || m.Class == ClassCommercial
	if m.Text == TextEmergency || m.Urgent && !solicits {
		v.say(UrgentPasses, "")
		return
	}
	v.until(QuietHours, open)
}

// hours gives the week that binds the message, and whether any does.
func (f *Facts) hours(v *verdict) (law.Week, bool) {
	m := &f.Message
	if m.Channel != people.ChannelPhone {
		return f.Policy.MailHours, m.Bulk && f.Policy.MailHours != law.Week{}
	}
	solicits := v.marketing || m.Text == TextMarketing
	week := orElse(f.Policy.OtherHours, "09:00-20:00")
	if (m.Purpose == ledger.PurposeTreatment || m.Purpose == ledger.PurposeRefill) && !solicits {
		week = orElse(f.Policy.CareHours, "08:00-21:00")
	}
	if solicits {
		week = week.Narrow(v.law.Window(v.today, f.Recipient.State))
	}
	return week, true
}

func orElse(w law.Week, text string) law.Week {
	if w != (law.Week{}) {
		return w
	}
	week, err := law.ParseWeek(text)
	if err != nil {
		return law.Week{} // never happens: the text is ours
	}
	return week
}

// opening gives the first moment from now on at which all zones are open; the zero time when there is none within two weeks.
func opening(now time.Time, week law.Week, zones []*time.Location) time.Time {
	t := now
	for t.Sub(now) < 14*24*time.Hour {
		moved := false
		for _, z := range zones {
			next := week.Next(t.In(z))
			if next.IsZero() {
				return time.Time{}
			}
			if next.After(t) {
				t, moved = next, true
			}
		}
		if !moved {
			return t.UTC()
		}
	}
	return time.Time{}
}

// counts: how often one person may be written to.
func counts(f *Facts, v *verdict) {
	m, c := &f.Message, &f.Contacts
	day := 24 * time.Hour
	if m.Channel == people.ChannelPhone && m.Text == TextExempt {
		if c.TextsDay >= v.law.Number(law.TextExemptDay, v.today) {
			v.until(TextDayLimit, f.Now.Add(day))
		}
		if c.TextsWeek >= v.law.Number(law.TextExemptWeek, v.today) {
			v.until(TextWeekLimit, f.Now.Add(day))
		}
	}
	if m.Channel == people.ChannelPhone && (v.marketing || m.Text == TextMarketing) {
		row, ok := v.law.InForce(law.TextSolicitPerDay, f.Recipient.State, v.today)
		if ok && c.SolicitationsDay >= row.Number() {
			v.until(SolicitationLimit, f.Now.Add(day))
		}
	}
	if n := f.Policy.BulkPerWeek; m.Bulk && !m.Safety && n > 0 && c.BulkWeek >= n {
		v.until(BulkLimit, f.Now.Add(day))
	}
}

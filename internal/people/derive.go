package people

import (
	"slices"
	"strings"
	"time"
)

// Derive gives the events that a person's current facts say, each once, by the source and its own key. It is a function of the
// whole set, so that the order in which resources arrive makes no difference: a visit that comes after the no-show of its day
// takes the no-show back. Facts refuted or entered in error say nothing.
func Derive(facts []Fact, words Vocabulary, now time.Time) []Event {
	var all []Event
	for i := range facts {
		all = append(all, derive(&facts[i], facts, words, now)...)
	}
	slices.SortFunc(all, func(a, b Event) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		if c := strings.Compare(a.Source, b.Source); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	return all
}

func derive(f *Fact, facts []Fact, words Vocabulary, now time.Time) []Event {
	if f.State == StateError || f.State == StateRefuted {
		return nil
	}
	switch f.Kind { //nolint:exhaustive // the others give no event
	case FactAppointment:
		return appointmentEvents(f, facts, now)
	case FactEncounter:
		return encounterEvents(f, words)
	case FactMedication:
		if f.State == StateActive || f.State == StateInactive || f.State == StateCompleted {
			return event(f, EventPrescribed, f.Start)
		}
	case FactDispense:
		if f.State == StateCompleted { // whenHandedOver only: a prepared one may go back to stock
			return event(f, EventDispensed, f.Start)
		}
	case FactObservation:
		if f.State == StateCompleted && (f.Text[TextCategory] == "" || f.Text[TextCategory] == "laboratory") {
			return event(f, EventLab, f.Start)
		}
	case FactImmunization:
		switch f.State { //nolint:exhaustive // the others give no event
		case StateCompleted:
			return event(f, EventImmunized, f.Start)
		case StateNotDone:
			return event(f, EventRefused, f.Start)
		}
	case FactProcedure:
		if f.State == StateCompleted {
			all := event(f, EventProcedure, procedureTime(f))
			for _, kind := range kinds(words.Procedures, f.Codes) {
				all = append(all, event(f, kind, procedureTime(f))...)
			}
			return all
		}
	}
	return nil
}

func procedureTime(f *Fact) Moment {
	if f.Start.IsZero() {
		return f.End
	}
	return f.Start
}

// event gives one event of a fact, none when its time is not known: an event without a time answers no rule.
func event(f *Fact, kind string, at Moment) []Event {
	if at.IsZero() {
		return nil
	}
	return []Event{{Kind: kind, At: at.At(), Source: f.Source, Key: kind + " " + f.Resource, Import: f.Import, resource: f.Resource}}
}

func appointmentEvents(f *Fact, facts []Fact, now time.Time) []Event {
	var all []Event
	if made := madeAt(f); !made.IsZero() && f.State != StateProposed && f.State != StateUnknown {
		all = event(f, EventBooked, made)
	}
	if f.Text[TextPriorStart] != "" && !f.Updated.IsZero() {
		moved := event(f, EventMoved, Moment{Time: f.Updated})
		moved[0].Key += " " + f.Start.At().Format(time.RFC3339)
		all = append(all, moved...)
	}
	switch f.State { //nolint:exhaustive // the others give no event
	case StateCancelled:
		at := Moment{Time: f.Updated}
		if at.IsZero() {
			at = f.Start
		}
		return append(all, event(f, EventCancelled, at)...)
	case StateKept:
		return append(all, event(f, EventKept, f.Start)...)
	case StateMissed:
		// A no-show is the source's word, never inferred from "booked and past"; and not one when the person was seen that day.
		if f.Start.At().Before(now) && !seenThatDay(f.Start.Date, facts) {
			return append(all, event(f, EventMissed, f.Start)...)
		}
	}
	return all
}

// madeAt gives when the appointment was booked: the source's own word, or the source's last change while it is still booked.
func madeAt(f *Fact) Moment {
	if m, err := ParseMoment(f.Text[TextMade]); err == nil {
		return m
	}
	if f.State == StateBooked && f.Text[TextPriorStart] == "" && !f.Updated.IsZero() {
		return Moment{Time: f.Updated}
	}
	return Moment{}
}

func seenThatDay(day Date, facts []Fact) bool {
	return !day.IsZero() && slices.ContainsFunc(facts, func(f Fact) bool {
		switch {
		case f.Start.Date != day:
			return false
		case f.Kind == FactEncounter:
			return f.State == StateCompleted || f.State == StateActive
		}
		return f.Kind == FactAppointment && f.State == StateKept
	})
}

func encounterEvents(f *Fact, words Vocabulary) []Event {
	if f.State != StateCompleted {
		return nil
	}
	at := f.Start
	if at.IsZero() {
		at = f.End
	}
	switch strings.ToUpper(f.Text[TextClass]) {
	case "AMB", "VR", "HH", "FLD", "":
		all := event(f, EventVisit, at)
		for _, kind := range kinds(words.Visits, f.Codes) {
			all = append(all, event(f, kind, at)...)
		}
		return all
	case "EMER":
		return event(f, EventEmergency, at)
	case "IMP", "ACUTE", "NONAC", "SS", "OBSENC":
		return event(f, EventInpatient, at)
	}
	return nil
}

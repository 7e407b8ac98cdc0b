package fhir

import (
	"strconv"
	"strings"

	"github.com/carepost/carepost/internal/people"
)

var encounterStates = map[string]people.FactState{
	"planned": people.StateProposed, "arrived": people.StateActive, "triaged": people.StateActive, "in-progress": people.StateActive,
	"onleave": people.StateActive, "finished": people.StateCompleted, "cancelled": people.StateCancelled, "entered-in-error": people.StateError,
}

func encounter(r *resource, _ *mapping) []people.Fact {
	types := list[concept](r, "type")
	f := people.Fact{
		Kind: people.FactEncounter, State: r.state("status", encounterStates),
		Codes: r.codes("type", append(types, list[concept](r, "reasonCode")...)...),
		Text:  map[string]string{people.TextClass: strings.ToUpper(r.text("class", get[coding](r, "class").Code))},
	}
	if len(types) > 0 {
		f.Text[people.TextLabel] = r.text("type", types[0].label())
	}
	p := get[period](r, "period")
	f.Start, f.End = r.moment("period", p.Start), r.moment("period", p.End)
	return one(f)
}

// appointmentStates knows both spellings of a no-show: invariant app-4 of R4 writes another than its value set.
var appointmentStates = map[string]people.FactState{
	"proposed": people.StateProposed, "pending": people.StateProposed, "waitlist": people.StateProposed, "booked": people.StateBooked,
	"arrived": people.StateKept, "checked-in": people.StateKept, "fulfilled": people.StateKept, "cancelled": people.StateCancelled,
	"noshow": people.StateMissed, "no-show": people.StateMissed, "entered-in-error": people.StateError,
}

func appointment(r *resource, _ *mapping) []people.Fact {
	services, typed := list[concept](r, "serviceType"), get[concept](r, "appointmentType")
	f := people.Fact{
		Kind: people.FactAppointment, State: r.state("status", appointmentStates), Codes: r.codes("serviceType", append(services, typed)...),
		Start: r.moment("start", get[string](r, "start")), End: r.moment("end", get[string](r, "end")),
		Text: map[string]string{people.TextReason: r.text("cancelationReason", get[concept](r, "cancelationReason").code())},
	}
	for _, c := range append(services, typed) {
		if label := r.text("serviceType", c.label()); label != "" {
			f.Text[people.TextType] = label
			break
		}
	}
	if made := r.moment("created", get[string](r, "created")); !made.IsZero() {
		f.Text[people.TextMade] = get[string](r, "created")
	}
	if n := get[int](r, "minutesDuration"); n > 0 {
		f.Text[people.TextMinutes] = strconv.Itoa(n)
	}
	return one(f)
}

package people

import (
	"slices"
	"strings"
)

// The kinds of events that facts give: one vocabulary for FHIR, HL7 and CSV. Other owners add theirs by AddEvents: "email.opened",
// "portal.login", "form.completed".
const (
	EventBooked    = "appointment.booked"
	EventMoved     = "appointment.moved"
	EventCancelled = "appointment.cancelled"
	EventMissed    = "appointment.missed"
	EventKept      = "appointment.kept"

	EventVisit     = "visit.finished" // ambulatory, virtual or at home, finished
	EventWellness  = "visit.wellness" // besides visit.finished
	EventEmergency = "visit.emergency"
	EventInpatient = "visit.inpatient"

	EventPrescribed = "rx.prescribed"
	EventDispensed  = "rx.dispensed"
	EventLab        = "lab.new"
	EventImmunized  = "immunization.given"
	EventRefused    = "immunization.refused"
	EventProcedure  = "procedure.done"
)

// Vocabulary names events by the codes of what was done: "procedure.mammogram", "visit.wellness". A pattern is an alias, a colon
// and a code; a star at its end covers what begins so. Organisations add their own value sets.
type Vocabulary struct {
	Procedures map[string][]string // event kind -> patterns, over Procedure facts
	Visits     map[string][]string // event kind -> patterns, over finished Encounter facts (type and reason)
}

// DefaultVocabulary holds what public code sets say: ICD-10-CM (Z00.0-, Z00.1-: general examinations) and HCPCS level II of CMS.
// It holds no SNOMED CT and no CPT: their licences do not let us ship them.
func DefaultVocabulary() Vocabulary {
	return Vocabulary{
		Procedures: map[string][]string{
			"procedure.mammogram":   {"hcpcs:G0202", "hcpcs:G0204", "hcpcs:G0206"},
			"procedure.colonoscopy": {"hcpcs:G0105", "hcpcs:G0121"},
			"procedure.pap":         {"hcpcs:Q0091", "hcpcs:P3000", "hcpcs:P3001"},
		},
		Visits: map[string][]string{
			EventWellness: {"icd10cm:Z000*", "icd10cm:Z001*", "hcpcs:G0402", "hcpcs:G0438", "hcpcs:G0439"},
		},
	}
}

// kinds gives, sorted, the event kinds whose patterns cover a code.
func kinds(sets map[string][]string, codes []Code) []string {
	var found []string
	for kind, patterns := range sets {
		if slices.ContainsFunc(codes, func(c Code) bool { return covered(patterns, c) }) {
			found = append(found, kind)
		}
	}
	slices.Sort(found)
	return found
}

func covered(patterns []string, c Code) bool {
	for _, p := range patterns {
		system, code, _ := strings.Cut(p, ":")
		if system != c.System {
			continue
		}
		if prefix, open := strings.CutSuffix(code, "*"); open && strings.HasPrefix(c.Code, prefix) || code == c.Code {
			return true
		}
	}
	return false
}

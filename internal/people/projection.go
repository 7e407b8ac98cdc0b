package people

// Projection is what the audience index needs of one person: about 300 bytes, sealed beside the core. It is derived: a
// rebuild from core, facts and events gives the same bytes.
type Projection struct {
	Kind      Kind // 0 for a record that was merged into another or that no source has in use: it is in no audience
	Sex       Sex
	Birth     Date // zero when unknown or a placeholder
	Language  string
	Zone      string
	State     string
	Postal    string // as given, upper-case, without spaces
	Country   string
	Deceased  bool
	HasEmail  bool
	HasPhone  bool
	Insurance string   // at the moment of reading, of Coverages: the kind of the current coverage: medicare, medicaid, commercial, self-pay, other; empty unknown
	InPatient bool     // in hospital now
	Sources   []string // feeds that know the person, for completeness

	Coverages     []ProjectedCoverage
	Conditions    []ProjectedCode
	Medications   []ProjectedCode
	Procedures    []ProjectedCode // last of each code
	Immunizations []ProjectedCode
	Allergies     []ProjectedCode
	Labs          []ProjectedLab         // latest of each code
	Events        []ProjectedEvents      // per kind
	Appointments  []ProjectedAppointment // booked ones ahead
	Consents      []ProjectedConsent
	Custom        map[string]string
}

// ProjectedCode is one coding of one fact.
type ProjectedCode struct {
	System, Code string
	Active       bool
	Start, End   int32 // days since 1970-01-01; 0 is not known
}

// ProjectedLab is the latest value of one code.
type ProjectedLab struct {
	System, Code     string
	Comparator, Unit string
	Value            float64
	At               int64 // seconds since 1970
}

// ProjectedEvents is what rules can ask of one kind of event: the times of the last 400 days, the first and the last ever.
type ProjectedEvents struct {
	Kind        string
	First, Last int64   // seconds since 1970
	Times       []int64 // ascending, the last 400 days; human ones
	Machine     []int64 // ascending, the last 400 days; made by machines
}

// ProjectedAppointment is a booked appointment.
type ProjectedAppointment struct {
	Start int64 // seconds since 1970
	Type  string
}

// ProjectedConsent is the state of one consent record: kind "topic:recalls", "channel:email", "marketing-authorization", ...
type ProjectedConsent struct {
	Name  string
	State string // given, refused, revoked, expired
	Until int32  // days since 1970-01-01; 0 is open-ended
}

// ProjectedCoverage is one insurance and the days it holds; 0 is open.
type ProjectedCoverage struct {
	Kind       string
	Start, End int32 // days since 1970-01-01
}

package audience

// Rule is one node of a rule tree: All, Any, Not, or a leaf. Trees are values: nothing in this package changes one.
type Rule interface{ isRule() }

// All matches who matches every one of its rules; it has two or more.
type All []Rule

// Any matches who matches one of its rules or more; it has two or more.
type Any []Rule

// Not matches who is known not to match its rule: unknown stays unknown.
type Not struct{ Rule Rule }

// Everyone matches every patient and prospect.
type Everyone struct{}

// Field asks one field of the record. Values holds the value for a comparison, one or more for OpIn, none for OpExists; numbers,
// dates and yes or no are in their one written form. Within is the length of time for OpOlderThan and OpWithin.
type Field struct {
	Name   string
	Op     Op
	Values []string
	Within Duration
}

// Has asks for a condition, medication, procedure, immunization or allergy with one of the codes.
type Has struct {
	What      string
	Terms     []Term
	AnyStatus bool // also resolved and stopped ones; always false where What has no status
}

// Lab asks the latest result among the codes. Value is the decimal as written. Unit empty takes any unit.
type Lab struct {
	Terms  []Term
	Op     Op
	Value  string
	Unit   string
	Within Duration // zero: however old
}

// Count asks how often an event happened in the time before now.
type Count struct {
	Event     string
	Op        Op
	N         int
	Within    Duration
	Automated bool // counts what machines did as well
}

// Last asks when an event last happened; Op is OpOlderThan or OpWithin.
type Last struct {
	Event     string
	Op        Op
	Within    Duration
	Automated bool
}

// Never matches who is known never to have had the event.
type Never struct {
	Event     string
	Automated bool
}

// Sequence asks for a First in the time before now that was followed, or for Missing not followed, by a Then within Gap.
type Sequence struct {
	First, Then string
	Missing     bool
	Gap         Duration
	Within      Duration
	Automated   bool
}

// Consent asks the state of one consent: given, refused, revoked, expired, or none when nothing is recorded.
type Consent struct{ Name, State string }

// Appointment asks for a booked appointment ahead; Within zero is any time ahead.
type Appointment struct{ Within Duration }

// Segment matches who is in the saved rule of that name.
type Segment struct{ Name string }

func (All) isRule()         {}
func (Any) isRule()         {}
func (Not) isRule()         {}
func (Everyone) isRule()    {}
func (Field) isRule()       {}
func (Has) isRule()         {}
func (Lab) isRule()         {}
func (Count) isRule()       {}
func (Last) isRule()        {}
func (Never) isRule()       {}
func (Sequence) isRule()    {}
func (Consent) isRule()     {}
func (Appointment) isRule() {}
func (Segment) isRule()     {}

// What a rule may be at most.
const (
	maxDepth    = 64       // nodes from the root to a leaf
	maxLeaves   = 500      // in one rule as written
	maxResolved = 5_000    // leaves with the segments that it names put in
	maxValues   = 2_000    // in one list
	maxWord     = 200      // bytes of one value or name
	maxText     = 64 << 10 // bytes of the text form
	maxJSON     = 512 << 10
	maxCount    = 100_000 // events in a count
	// keptDays is how long a projection keeps single event times (people.ProjectedEvents); a window of a count reaches no further.
	keptDays = 400
)

// Children gives the rules inside a node, none for a leaf.
func Children(r Rule) []Rule {
	switch r := r.(type) {
	case All:
		return r
	case Any:
		return r
	case Not:
		return []Rule{r.Rule}
	}
	return nil
}

// join makes an All or an Any of a list, or the rule itself of a list of one.
func join(list []Rule, any bool) Rule {
	switch {
	case len(list) == 1:
		return list[0]
	case any:
		return Any(list)
	}
	return All(list)
}

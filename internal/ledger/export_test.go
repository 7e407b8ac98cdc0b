package ledger

// LeafSize is the length of a leaf.
const LeafSize = leafSize

// The look-ups, for a test of their plans.
var (
	SubjectDown = subjectDown
	ObjectDown  = objectDown
	ActsDown    = subjectActsDown
)

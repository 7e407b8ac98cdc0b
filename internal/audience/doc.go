// Package audience owns rules and who they match: the rule tree with its JSON and its text, segments, value sets, the index in
// memory, counting, listing and explaining.
//
// It never knows messages or whether one may go: consent may be a leaf of a rule, and the gate asks it all the same when a
// message is about to leave. The database sees no rule and no fact in clear; the index lives in the memory of the trusted process.
//
// A rule is asked of one person in eval.go, which is the specification: three-valued, because a fact nobody knows matches neither
// a leaf nor its opposite, and because absence is known only from feeds that are complete and fresh (feeds.go). plan.go gives the
// same answers for everyone at once, over base.go; a property test holds the two against each other and against a third one.
// Read rule.go first, then eval.go; docs/rules.md is the language for its users.
package audience

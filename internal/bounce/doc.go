// Package bounce owns what a receiver's refusal means: the class of a reply, whom it is about, and what follows from it.
//
// It never knows a message, a person or a queue: it judges codes and words, and what it says holds for lines it has never seen.
//
// It follows RFC 5321 4.2 (codes), RFC 3463 with the IANA registry of enhanced status codes (RFC 5248), and the pages where large receivers
// publish their texts. Read rules.txt first, it is the table; then classify.go: the stage decides most, codes the next, words the rest.
// text.go makes a reply's text plain, rules.go reads and asks the table.
package bounce

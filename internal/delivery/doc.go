// Package delivery owns the queue of mail: one row per recipient, its lane, lease, intent and end; the connections; the pace per
// receiver; the signature; and what follows from every answer.
//
// It never knows a body that is not being sent, a person's name or why a message may go: Prepare, handed in, decides and renders when a
// message is about to leave, and Outcome, handed in, hears how it ended, in the transaction that says so.
//
// A row goes routing -> ready -> sending -> done. The intent is committed before the final dots of a small group, so what a crash leaves
// in doubt is known and treated by kind: care goes again with the same Message-ID, marketing does not, both are counted
// (RFC 5321 4.5.3.2.6, RFC 1047). A message decided for proven TLS that meets none goes back to Prepare with what was lacking; it never
// leaves for less. Signatures follow RFC 6376 and 8463.
//
// Read api.go first: what goes in and what comes out; then decide.go, the pure rules; then work.go, one connection's life; dispatch.go
// gives lanes to workers; docs/delivery.md says the same for operators.
package delivery

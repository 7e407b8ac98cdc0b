// Package job owns the loop for work that survives a crash, and one table for odd work.
//
// It never knows what the work is, nor the rows of other owners: their rows keep due_at, lease, attempt and state, and they give the
// loop a claim and a settlement. Nothing else in the program invents a queue.
//
// The promises: a row is claimed by one holder at a time; what a crash leaves behind is taken over when its lease ends; an outcome
// counts only while its lease is held; so work is done at least once, and twice only after a crash or a lost lease. The owner makes
// twice harmless, or commits its intent before the part that must not happen twice.
//
// Read loop.go first: Loop's fields are the contract with owners. queue.go is the table for odd work, and an example of an owner.
package job

// Package organisation owns who sends: organisations with their locations, time zone, languages and postal address; sender
// identities; domains with their DKIM keys and the DNS records they need; and the protection policy that the gate asks.
//
// It never knows persons, messages or whether one may go: a policy is a plain value here, and the gate judges by it. It asks no DNS
// itself; the check of a domain gets a resolver handed in and is pure over its answers.
//
// It follows 16 CFR 316 (the postal address of a commercial sender), RFC 6376 and RFC 8463 (DKIM keys), RFC 7208, 8461, 8460 and
// 9989 (the records of a domain). Every change of a setting is a ledger entry of its transaction. Read organisation.go first, then
// policy.go and domain.go.
package organisation

// Package gate owns the decision on every message and every disclosure: whether it may go, how it must be protected, and why.
//
// It never knows how a message is written, protected or carried, and its decisions touch no network, disk or clock: Decide and
// Disclose are functions of plain values, Facts with now among them. Gather is the only builder of facts.
//
// The order is fixed (docs/protection.md): law, the sender's demand, content lint, the person's documented request for plain
// mail after a warning, the recipient's keys, proven TLS, pickup. Each reason names its rule: 45 CFR 160 and 164, 42 CFR 2,
// 15 USC 7704, 47 CFR 64.1200, RFC 7672, RFC 8461. Read facts.go first, then decide.go, law.go, reason.go.
package gate

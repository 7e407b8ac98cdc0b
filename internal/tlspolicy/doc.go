// Package tlspolicy owns what may be believed about the way to a recipient's domain: the operator's routes, the domain's mail
// servers, its MTA-STS policy, and what a TLS connection must prove before a message may leave over it.
//
// It never knows messages, persons or purposes. It gives values, a Resolution and a Verdict; what is sent, and by which means, others decide.
//
// It follows RFC 5321 5.1 and RFC 7505 (which servers), RFC 8461 (MTA-STS) and RFC 6125 (names). Read policy.go first: the words and
// the one pure decision; then mx.go and mtasts.go; sql.go has the tables route and mtasts_policy.
package tlspolicy

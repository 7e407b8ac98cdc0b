// Package consent owns what people have said or agreed about being written to: consents, authorizations (45 CFR 164.508), restrictions
// and requests for confidential communications (164.522), requests for plain mail after a warning (164.524), consents under
// 42 CFR 2, suppressions of addresses, and preferences.
//
// It never knows messages or decisions: the gate asks it, and judges. Each act is one row, one ledger entry and one word to the
// projection, all in the caller's transaction, so that a revocation counts for whatever is sent after it. An unsubscribe holds for
// the address and outlives the person's record; an authorization holds for the person. Where records were merged, the strictest
// of them wins.
//
// Read record.go for the shapes, then consents.go; sql.go has the tables consent and suppression.
package consent

// Package agreement owns business associate agreements and the like: with whom, for which services, from when to when, whether the
// other side is an agent, how soon it reports incidents, and the hash of the signed document.
//
// It never knows who carries what: the gate asks whether an agreement in force covers a service, never whether a vendor is known.
// A vendor's list of covered services changes by product and by date, so the list is part of each agreement.
//
// It follows 45 CFR 164.502(e), 164.504(e), 164.308(b), 164.314(a) and, for agency, 164.404(a)(2). Read agreement.go first.
package agreement

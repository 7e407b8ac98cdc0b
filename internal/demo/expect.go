package demo

import (
	"strings"
	"time"

	"github.com/carepost/carepost/internal/world"
)

// The ways, as the API names them.
const (
	wayTLS            = "tls"
	wayPickup         = "pickup"
	wayPlainRequested = "plain_requested"
	wayHeld           = "held"
	wayRefused        = "refused"
)

// byDomain says how a private message can reach each receiver.
var byDomain = map[string]string{
	"trusted.example": wayTLS, "busy.example": wayTLS, "gone.example": wayTLS, partner: wayTLS,
	"plain.example": wayPickup, "expired.example": wayPickup, "strict.example": wayHeld,
}

// mailbox gives the address that a message to the person goes to: the one that the person asked for, else the preferred one, unless
// mail to that came back and there is another.
func mailbox(p *world.Person, returned bool) string {
	switch {
	case len(p.Emails) == 0:
		return ""
	case p.Paperwork.Confidential == "second", returned && len(p.Emails) > 1:
		return p.Emails[1]
	}
	return p.Emails[0]
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// expectCare says what must become of the care instructions to a person, from the papers alone. It shares nothing with the gate.
func expectCare(p *world.Person, now time.Time) string {
	way := byDomain[domainOf(mailbox(p, false))]
	switch {
	case p.Deceased:
		return wayRefused // 45 CFR 164.502(f)
	case p.Age(now) < majority, way == "", p.Paperwork.Confidential == "post", way == wayHeld:
		return wayHeld
	case p.Paperwork.PlainRequest:
		return wayPlainRequested // 45 CFR 164.524(c)(2)
	}
	return way
}

const majority = 18

// expectOffer says what must become of the paid offer: marketing that a third party pays for. returned: the care instructions came back.
func expectOffer(p *world.Person, returned bool) string {
	to := mailbox(p, returned)
	way := byDomain[domainOf(to)]
	switch {
	case p.Deceased, p.Paperwork.Authorization != "valid", p.Paperwork.OptOut, p.Paperwork.Restriction, way == "", returned && to == p.Emails[0]:
		return wayRefused // 45 CFR 164.508(a)(3), 164.522(a); 15 USC 7704(a)(4)
	case p.Paperwork.Confidential == "post":
		return wayHeld
	}
	return way
}

package audience

import (
	_ "embed"
	"strings"
)

// products gives the RxNorm product codes of an ingredient: the code of an ingredient in a rule covers its products, because orders
// name products. rxnorm.tsv says where its pairs come from.
var products = readProducts(rxnormTSV)

//go:embed rxnorm.tsv
var rxnormTSV string

func readProducts(tsv string) map[string][]string {
	m := map[string][]string{}
	for line := range strings.Lines(tsv) {
		if line[0] == '#' {
			continue
		}
		if cols := strings.Split(strings.TrimSpace(line), "\t"); len(cols) >= 2 {
			m[cols[0]] = append(m[cols[0]], cols[1])
		}
	}
	return m
}

// knownEvents are the events that feeds and the product itself write most; a hint is drawn from them. Any other name may be used.
var knownEvents = []string{
	"email.delivered", "email.opened", "email.clicked", "email.bounced", "email.complained", "email.replied", "email.unsubscribed",
	"sms.delivered", "pickup.read", "portal.login", "form.completed", "form.abandoned",
	"appointment.booked", "appointment.moved", "appointment.cancelled", "appointment.missed", "appointment.kept",
	"rx.prescribed", "rx.dispensed", "lab.new", "visit.finished",
}

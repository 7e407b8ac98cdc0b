package seal

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

// Certificate says what was destroyed, and when it is gone from which copies of the database. It holds ids and dates only.
type Certificate struct {
	ID           id.Certificate
	Origin       string // of the signer: the installation
	Ring         [16]byte
	Organisation id.Organisation
	What         string   // person, month or organisation
	Of           []string // the records of the person by their ids; the purposes of the month; nothing
	Month        uint32   // yyyymm; 0 for the others
	Keys         int      // how many keys were destroyed
	Basis        string   // why it may be: retention-ended and the like
	By           string   // the actor
	At           time.Time
	Complete     time.Time // from then on no copy opens, wherever it is kept
	Epoch        uint32    // the newest epoch that a copy may hold the keys under
	Stays        []string  // what may hold something of it and is sealed under keys that stay: purpose and month
}

// CertificateTitle is the first line of a certificate, which no checkpoint of a ledger begins with.
const CertificateTitle = "Carepost certificate of destruction, version 1"

const (
	certificateTime = "2006-01-02T15:04:05.000Z"
	maxCertificate  = 256 << 10
	maxCertified    = 4096 // items in one line
)

// copies says in words what the dates mean; it is part of the text that is signed.
const certificateWords = "A copy of the database made before \"at\" may open until \"complete\" at the latest, and with no key after that.\n" +
	"The keys are gone from the database since \"at\". What \"stays\" names is sealed under keys that were not destroyed.\n"

// Text gives the certificate as it is signed: a title, one name and value a line, and two sentences. One certificate has one text.
func (c Certificate) Text() string {
	var b strings.Builder
	line := func(name, value string) {
		b.WriteString(name)
		b.WriteString(": ")
		b.WriteString(value)
		b.WriteByte('\n')
	}
	list := func(all []string) string {
		if len(all) == 0 {
			return "-"
		}
		return strings.Join(all, " ")
	}
	b.WriteString(CertificateTitle + "\n\n")
	line("certificate", c.ID.String())
	line("origin", c.Origin)
	line("ring", hex.EncodeToString(c.Ring[:]))
	line("organisation", c.Organisation.String())
	line("what", c.What)
	line("of", list(c.Of))
	line("month", strconv.FormatUint(uint64(c.Month), 10))
	line("keys", strconv.Itoa(c.Keys))
	line("basis", c.Basis)
	line("by", c.By)
	line("at", c.At.UTC().Format(certificateTime))
	line("complete", c.Complete.UTC().Format(certificateTime))
	line("epoch", strconv.FormatUint(uint64(c.Epoch), 10))
	line("stays", list(c.Stays))
	b.WriteString("\n" + certificateWords)
	return b.String()
}

// ParseCertificate reads the text of a certificate whose signature was verified. It takes no text but the one that Text gives.
func ParseCertificate(text string) (Certificate, error) {
	bad := fault.New(fault.Invalid, "not a certificate of destruction of this version")
	if len(text) > maxCertificate {
		return Certificate{}, bad
	}
	body, ok := strings.CutPrefix(text, CertificateTitle+"\n\n")
	if !ok {
		return Certificate{}, bad
	}
	body, ok = strings.CutSuffix(body, "\n"+certificateWords)
	if !ok {
		return Certificate{}, bad
	}
	value := map[string]string{}
	for line := range strings.Lines(body) {
		name, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if _, twice := value[name]; !ok || twice {
			return Certificate{}, bad
		}
		value[name] = v
	}
	c, ok := certificateOf(value)
	if !ok || c.Text() != text {
		return Certificate{}, bad // lines in another order, unknown or missing, or written in another way
	}
	return c, nil
}

func certificateOf(value map[string]string) (c Certificate, ok bool) {
	ok = true
	number := func(name string) int {
		n, err := strconv.ParseUint(value[name], 10, 31)
		ok = ok && err == nil
		return int(n)
	}
	moment := func(name string) time.Time {
		t, err := time.Parse(certificateTime, value[name])
		ok = ok && err == nil
		return t
	}
	list := func(name string) []string {
		if value[name] == "-" {
			return nil
		}
		all := strings.Split(value[name], " ")
		ok = ok && len(all) <= maxCertified && !slices.Contains(all, "")
		return all
	}
	raw, err := id.Parse[id.Certificate](value["certificate"])
	ok = ok && err == nil
	ring, err := hex.DecodeString(value["ring"])
	ok = ok && err == nil && len(ring) == len(c.Ring)
	org, err := id.ParseOrganisation(value["organisation"])
	ok = ok && err == nil
	if !ok {
		return c, false
	}
	c = Certificate{
		ID: raw, Origin: value["origin"], Ring: [16]byte(ring), Organisation: org, What: value["what"], Of: list("of"), Month: uint32(number("month")),
		Keys: number("keys"), Basis: value["basis"], By: value["by"], At: moment("at"), Complete: moment("complete"), Epoch: uint32(number("epoch")),
		Stays: list("stays"),
	}
	return c, ok
}

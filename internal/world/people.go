package world

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Person is one made-up person with what the export says of them and what the story needs to know.
type Person struct {
	Number    int
	MRN       string
	Given     string
	Family    string
	Birth     time.Time
	Female    bool
	Language  string
	Emails    []string // none, one or two; the first is preferred
	Phone     string
	Diabetic  bool
	A1c       float64 // latest; 0 without one
	Drug      string  // of the diabetic
	Deceased  bool
	Paperwork Paperwork
}

// Paperwork is what the organisation holds on paper about a person, besides the export.
type Paperwork struct {
	Authorization string // "", "valid", "expired": for the paid offer
	Confidential  string // "", "post": a request under 45 CFR 164.522(b) for post only, or "second": the second address only
	Restriction   bool   // an agreed restriction under 45 CFR 164.522(a): no disclosure by any commercial message
	OptOut        bool   // has opted out of commercial email
	PlainRequest  bool   // asked for unencrypted mail after the warning
}

// MRNSystem is the identifier system of the made-up medical record numbers.
const MRNSystem = "urn:oid:2.999.1.1"

// share says how many of a hundred people have their address in which domain of the demo.
var share = []struct {
	domain string
	upTo   int
}{
	{"trusted.example", 42}, {"plain.example", 62}, {"expired.example", 70}, {"strict.example", 76},
	{"busy.example", 84}, {"gone.example", 88}, {"partner.example", 96}, {"", 100},
}

// The names are long and unusual on purpose: a scan for them must not hit a word of anybody's prose.
var (
	givens   = strings.Fields("Aurelio Beatrix Cassandra Dominique Ezekiel Fiorella Gwendolyn Horatio Isadora Jaroslav Katarzyna Leopold Marguerite Nathaniel Ophelia Perpetua Quentin Rosalind Sebastian Theodora Umberto Valentina Wilhelmina Xiomara Yolanda Zachariah")
	families = strings.Fields("Abernathy Bartholomew Castellanos Drummondson Eichelberger Fitzwilliam Gallagheri Hollingsworth Ingebrigtsen Juscelinos Krasniqiova Lindqvistson Montgomerie Nakamurasan Oyelaranson Papadimitriou Quackenbush Rasmusseni Szymanskaya Thistlewood Uzodinmason Vandermeulen Wojciechowska Xanthopoulos Yamaguchison Zimmermannova")
	streets  = strings.Fields("Alder Birch Cedar Dogwood Elm Fir")
	words    = strings.Fields("amber basalt cobalt delta ember fjord garnet harbor indigo jasper kelp lagoon meadow nectar onyx pebble quartz ripple summit tundra velvet willow")
	zips     = strings.Fields("60601 60614 60625 60640 60657 61101 62701")
)

// People draws n people; the same seed and day give the same people.
func People(n int, seed uint64, now time.Time) []Person {
	r := rand.New(rand.NewPCG(seed, 0x5eed)) //nolint:gosec // G404: made-up people want a seed
	all := make([]Person, n)
	for i := range all {
		all[i] = person(r, i, now)
	}
	return all
}

func person(r *rand.Rand, i int, now time.Time) Person {
	p := Person{
		Number: i + 1, MRN: fmt.Sprintf("M%07d", 4_000_000+i*7919%999_983),
		Given: givens[r.IntN(len(givens))], Family: families[r.IntN(len(families))],
		Female: r.IntN(100) < 53, Language: "en", Phone: fmt.Sprintf("+1%d555%04d", 202+i/100*11+r.IntN(10), 100+i%100),
		Birth: now.AddDate(-18-r.IntN(70), -r.IntN(12), -r.IntN(28)).Truncate(24 * time.Hour),
	}
	if r.IntN(100) < 16 {
		p.Language = "es"
	}
	p.address(r, i)
	p.Diabetic = r.IntN(100) < 45
	if p.Diabetic {
		p.A1c = 6.5 + float64(r.IntN(60))/10
		p.Drug = [...]string{"metformin", "sitagliptin", "glipizide"}[r.IntN(3)]
	}
	p.Deceased = r.IntN(100) < 2
	p.paperwork(r)
	return p
}

func (p *Person) address(r *rand.Rand, i int) {
	at := r.IntN(100)
	for _, s := range share {
		if at < s.upTo {
			if s.domain != "" {
				p.Emails = append(p.Emails, fmt.Sprintf("%s.%s%d@%s", words[r.IntN(len(words))], words[r.IntN(len(words))], i, s.domain))
			}
			break
		}
	}
	if len(p.Emails) == 1 && r.IntN(100) < 8 {
		p.Emails = append(p.Emails, fmt.Sprintf("%s%d@plain.example", words[r.IntN(len(words))], i))
	}
}

func (p *Person) paperwork(r *rand.Rand) {
	switch at := r.IntN(100); {
	case at < 50:
		p.Paperwork.Authorization = "valid"
	case at < 62:
		p.Paperwork.Authorization = "expired"
	}
	switch at := r.IntN(100); {
	case at < 5:
		p.Paperwork.Restriction = true
	case at < 11:
		p.Paperwork.OptOut = true
	case at < 14:
		p.Paperwork.PlainRequest = true
	}
	if len(p.Emails) == 2 && r.IntN(3) == 0 {
		p.Paperwork.Confidential = "second"
	}
}

// Canaries are strings of the people that must stand nowhere in clear: names, record numbers, birth dates, phones, drugs, diagnoses.
func Canaries(people []Person) []string {
	seen := map[string]bool{}
	var all []string
	add := func(s string) {
		if s != "" && !seen[s] {
			seen[s] = true
			all = append(all, s)
		}
	}
	for _, p := range people {
		add(p.Family)
		add(p.Given)
		add(p.MRN)
		add(p.Birth.Format(time.DateOnly))
		add(p.Phone)
		add(p.Drug)
	}
	add(diabetes)
	add(hypertension)
	return all
}

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
	A1cDays   int     // how long ago it was taken
	Drug      string  // of the diabetic
	Deceased  bool
	Paperwork Paperwork
}

// Paperwork is what the organisation holds on paper about a person, besides the export.
type Paperwork struct {
	Authorization string // "", "valid", "expired": for the paid offer
	Confidential  string // "", "post": a request under 45 CFR 164.522(b) for post only, or "second": the second address only
	Restriction   bool   // an agreed restriction under 45 CFR 164.522(a): no marketing
	OptOut        bool   // has opted out of commercial email
	PlainRequest  bool   // asked for unencrypted mail after the warning
}

// Empty tells whether there is none.
func (p Paperwork) Empty() bool { return p == Paperwork{} }

// Age gives the whole years of the person on a day.
func (p Person) Age(on time.Time) int {
	years := on.Year() - p.Birth.Year()
	if on.Month() < p.Birth.Month() || on.Month() == p.Birth.Month() && on.Day() < p.Birth.Day() {
		years--
	}
	return years
}

// MRNSystem is the identifier system of the made-up medical record numbers.
const MRNSystem = "urn:oid:2.999.1.1"

// share says how many of a hundred people have their address in which domain of the demo.
var share = []struct {
	domain string
	upTo   int
}{
	{"trusted.example", 40},
	{"plain.example", 58},
	{"expired.example", 66},
	{"strict.example", 72},
	{"busy.example", 82},
	{"gone.example", 87},
	{"partner.example", 95},
	{"", 100},
}

// The names are long and unusual on purpose: a scan for them must not hit a word of anybody's prose.
var (
	givens   = strings.Fields("Aurelio Beatrix Cassandra Dominique Ezekiel Fiorella Gwendolyn Horatio Isadora Jaroslav Katarzyna Leopold Marguerite Nathaniel Ophelia Perpetua Quentin Rosalind Sebastian Theodora Umberto Valentina Wilhelmina Xiomara Yolanda Zachariah")
	families = strings.Fields("Abernathy Bartholomew Castellanos Drummondson Eichelberger Fitzwilliam Gallagheri Hollingsworth Ingebrigtsen Juscelinos Krasniqiova Lindqvistson Montgomerie Nakamurasan Oyelaranson Papadimitriou Quackenbush Rasmusseni Szymanskaya Thistlewood Uzodinmason Vandermeulen Wojciechowska Xanthopoulos Yamaguchison Zimmermannova")
	streets  = strings.Fields("Alder Birch Cedar Dogwood Elm Fir")
	words    = strings.Fields("amber basalt cobalt delta ember fjord garnet harbor indigo jasper kelp lagoon meadow nectar onyx pebble quartz ripple summit tundra velvet willow")
	zips     = strings.Fields("60601 60614 60625 60640 60657 61101 62701")
	areas    = strings.Fields("217 224 309 312 331 618 630 708 773 779 815 847")
)

// People draws n people; the same seed and day give the same people. Exactly one of them asks for post only, when there is a diabetic
// adult with an address and without other paperwork.
func People(n int, seed uint64, now time.Time) []Person {
	r := rand.New(rand.NewPCG(seed, 0x5eed)) //nolint:gosec // G404: made-up people want a seed
	all := make([]Person, n)
	for i := range all {
		all[i] = person(r, i, now)
	}
	for i := range all {
		p := &all[i]
		if p.Uncontrolled() && p.Age(now) >= adult && !p.Deceased && len(p.Emails) == 1 && strings.HasSuffix(p.Emails[0], "@trusted.example") && p.Paperwork.Empty() {
			p.Paperwork.Confidential = "post"
			break
		}
	}
	return all
}

const adult = 18

// Uncontrolled tells whether the person is a diabetic whose last A1c is 8 % or more and no older than six months.
func (p Person) Uncontrolled() bool {
	const recent = 180
	return p.Diabetic && p.A1c >= 8 && p.A1cDays <= recent
}

func person(r *rand.Rand, i int, now time.Time) Person {
	p := Person{
		Number: i + 1, MRN: fmt.Sprintf("M%07d", 4_000_000+i*7919%999_983),
		Given: givens[r.IntN(len(givens))], Family: families[r.IntN(len(families))],
		Female: r.IntN(100) < 53, Language: "en", Phone: fmt.Sprintf("+1%s555%04d", areas[i/100%len(areas)], 100+i%100),
		Birth: now.AddDate(-adult-1-r.IntN(69), -r.IntN(12), -r.IntN(28)).Truncate(24 * time.Hour),
	}
	if r.IntN(100) < 4 {
		p.Birth = p.Birth.AddDate(now.Year()-12-r.IntN(4)-p.Birth.Year(), 0, 0) // a child of school age
	}
	if r.IntN(100) < 16 {
		p.Language = "es"
	}
	p.address(r, i)
	if p.Diabetic = r.IntN(100) < 45; p.Diabetic {
		p.A1c = float64(65+r.IntN(60)) / 10
		p.A1cDays = 20 + r.IntN(140)
		if r.IntN(100) < 20 {
			p.A1cDays += 200 // not looked at for long
		}
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
	if len(p.Emails) == 1 && r.IntN(100) < 12 {
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
	case at < 17:
		// Only where the receiving server speaks TLS of its own accord: then even mail that need not be protected is, on its way.
		p.Paperwork.PlainRequest = len(p.Emails) == 1 && !strings.HasSuffix(p.Emails[0], "@plain.example")
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

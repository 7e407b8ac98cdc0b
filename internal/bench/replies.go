package bench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/carepost/carepost/internal/bounce"
	"github.com/carepost/carepost/internal/fault"
)

// RepliesResult is the measurement of the reply rules. The field names are a contract.
type RepliesResult struct {
	Lines   int                             `json:"lines"`
	Right   float64                         `json:"right"` // share of the lines
	ByClass map[string]RepliesClassAccuracy `json:"by_class"`
	Version string                          `json:"version"` // of the rules

	Wrong []string `json:"-"` // "class, not class, rule: line n", for people
}

// RepliesClassAccuracy says of one class how many of those that were called so are so, and how many that are so were called so.
type RepliesClassAccuracy struct {
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
}

// Replies judges a file of labelled replies: tab-separated, its first line names the columns, of which code, enhanced, text and class are
// read, and stage and provider if they are there.
func Replies(file string) (RepliesResult, error) {
	f, err := os.Open(file)
	if err != nil {
		return RepliesResult{}, fault.New(fault.Invalid, "the corpus cannot be opened").Hint("give --corpus FILE.tsv")
	}
	defer func() { _ = f.Close() }()
	return replies(f)
}

func replies(r io.Reader) (RepliesResult, error) {
	res := RepliesResult{ByClass: map[string]RepliesClassAccuracy{}, Version: bounce.Version()}
	said, truly, both := map[bounce.Class]int{}, map[bounce.Class]int{}, map[bounce.Class]int{}
	col := map[string]int{}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		fields := strings.Split(strings.TrimRight(in.Text(), "\r"), "\t")
		if n == 1 {
			for i, name := range fields {
				col[name] = i + 1
			}
			continue
		}
		if len(fields) == 1 && fields[0] == "" {
			continue
		}
		get := func(name string) string {
			if i := col[name]; i > 0 && i <= len(fields) {
				return fields[i-1]
			}
			return ""
		}
		class := bounce.Class(get("class"))
		code, err := strconv.Atoi(get("code"))
		if err != nil || !slices.Contains(bounce.Classes(), class) {
			return res, fault.New(fault.Invalid, "not a labelled reply").At("line %d", n).Hint("the columns code, enhanced, text and class are needed, with the class words of docs/delivery.md")
		}
		v := bounce.Classify(bounce.Reply{Stage: bounce.Stage(get("stage")), Code: code, Enhanced: get("enhanced"), Text: get("text"), Provider: get("provider")})
		res.Lines++
		said[v.Class]++
		truly[class]++
		if v.Class == class {
			both[class]++
		} else {
			res.Wrong = append(res.Wrong, fmt.Sprintf("line %d: %s, not %s, by %s", n, v.Class, class, v.Rule))
		}
	}
	if err := in.Err(); err != nil {
		return res, fmt.Errorf("read the corpus: %w", err)
	}
	if res.Lines == 0 {
		return res, fault.New(fault.Invalid, "the corpus has no lines")
	}
	res.Right = 1 - float64(len(res.Wrong))/float64(res.Lines)
	for _, c := range bounce.Classes() {
		if said[c]+truly[c] > 0 {
			res.ByClass[string(c)] = RepliesClassAccuracy{share(both[c], said[c]), share(both[c], truly[c])}
		}
	}
	return res, nil
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 1 // nothing was called so: nothing wrongly
	}
	return float64(part) / float64(whole)
}

package store

import (
	"strconv"
	"strings"
	"sync"
)

// The subset of SQL that both engines speak has a few words that differ. A statement writes them in double braces:
//
//	in DDL: {{blob}} {{int}} {{strict}} {{clustered}}, the last for a table kept in the order of its primary key
//	in statements: {{blobs}} {{ints}}, an argument made by Blobs or Ints, as in "id in {{blobs}}"
//	and {{skip_locked}} at the end of the query that picks rows to claim.
var words = map[Engine]*strings.Replacer{
	SQLite: strings.NewReplacer(
		"{{blob}}", "BLOB", "{{int}}", "INTEGER", "{{strict}}", " STRICT", "{{clustered}}", " STRICT, WITHOUT ROWID",
		"{{blobs}}", "(SELECT unhex(value) FROM json_each(?))", "{{ints}}", "(SELECT value FROM json_each(?))",
		"{{skip_locked}}", "",
	),
	PostgreSQL: strings.NewReplacer(
		"{{blob}}", "bytea", "{{int}}", "bigint", "{{strict}}", "", "{{clustered}}", "",
		"NOT IN {{blobs}}", "<> ALL(?::bytea[])", "not in {{blobs}}", "<> ALL(?::bytea[])",
		"IN {{blobs}}", "= ANY(?::bytea[])", "in {{blobs}}", "= ANY(?::bytea[])",
		"NOT IN {{ints}}", "<> ALL(?::bigint[])", "not in {{ints}}", "<> ALL(?::bigint[])",
		"IN {{ints}}", "= ANY(?::bigint[])", "in {{ints}}", "= ANY(?::bigint[])",
		"{{skip_locked}}", "FOR UPDATE SKIP LOCKED",
	),
}

// maxRewritten bounds the memory of rewritten statements. Statements are constants, so it is never reached by our own code.
const maxRewritten = 4096

type rewriter struct {
	engine Engine
	mu     sync.RWMutex
	known  map[string]string
}

func (r *rewriter) rewrite(query string) string {
	r.mu.RLock()
	out, ok := r.known[query]
	r.mu.RUnlock()
	if ok {
		return out
	}
	out = expand(r.engine, query)
	if r.engine == PostgreSQL {
		out = number(out)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) < maxRewritten {
		r.known[query] = out
	}
	return out
}

func expand(engine Engine, query string) string {
	if !strings.Contains(query, "{{") {
		return query
	}
	return words[engine].Replace(query)
}

// number turns each '?' outside of quotes and comments into $1, $2 and so on.
func number(query string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n := 0
	for i := 0; i < len(query); {
		if end := opaque(query, i); end > i {
			b.WriteString(query[i:end])
			i = end
			continue
		}
		if query[i] == '?' {
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		} else {
			b.WriteByte(query[i])
		}
		i++
	}
	return b.String()
}

// opaque gives the end of the quoted text or comment that begins at i, or i when none does. Text without its closing mark
// reaches to the end; the engine then refuses it.
func opaque(q string, i int) int {
	rest := q[i:]
	switch {
	case rest[0] == '\'' || rest[0] == '"':
		return i + quoted(rest)
	case strings.HasPrefix(rest, "--"):
		if n := strings.IndexByte(rest, '\n'); n >= 0 {
			return i + n
		}
		return len(q)
	case strings.HasPrefix(rest, "/*"):
		if n := strings.Index(rest[2:], "*/"); n >= 0 {
			return i + 2 + n + 2
		}
		return len(q)
	}
	return i
}

// quoted gives the length of a quoted text; a doubled quote stands for itself.
func quoted(s string) int {
	mark := s[0]
	for i := 1; i < len(s); i++ {
		if s[i] != mark {
			continue
		}
		if i+1 < len(s) && s[i+1] == mark {
			i++
			continue
		}
		return i + 1
	}
	return len(s)
}

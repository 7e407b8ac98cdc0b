package audience

import "slices"

// Op is how a leaf compares.
type Op string

// The operators, by their names in JSON; text writes the first seven as = != in < <= > >=.
const (
	OpEq        Op = "eq"
	OpNe        Op = "ne"
	OpIn        Op = "in"
	OpLt        Op = "lt"
	OpLte       Op = "lte"
	OpGt        Op = "gt"
	OpGte       Op = "gte"
	OpExists    Op = "exists"
	OpOlderThan Op = "older_than"
	OpWithin    Op = "within"
)

var opText = map[Op]string{
	OpEq: "=", OpNe: "!=", OpIn: "in", OpLt: "<", OpLte: "<=", OpGt: ">", OpGte: ">=",
	OpExists: "exists", OpOlderThan: "older than", OpWithin: "within",
}

var (
	opsCompare = []Op{OpEq, OpNe, OpLt, OpLte, OpGt, OpGte}
	opsText    = []Op{OpEq, OpNe, OpIn, OpExists}
	opsFlag    = []Op{OpEq, OpNe, OpExists}
	opsNumber  = []Op{OpEq, OpNe, OpIn, OpLt, OpLte, OpGt, OpGte, OpExists}
	opsDay     = []Op{OpEq, OpNe, OpLt, OpLte, OpGt, OpGte, OpOlderThan, OpWithin, OpExists}
	opsLab     = []Op{OpEq, OpNe, OpLt, OpLte, OpGt, OpGte, OpExists}
)

// compares tells whether a stands to b as the operator says, given the sign of a - b.
func (o Op) compares(sign int) bool {
	switch o {
	case OpEq:
		return sign == 0
	case OpNe:
		return sign != 0
	case OpLt:
		return sign < 0
	case OpLte:
		return sign <= 0
	case OpGt:
		return sign > 0
	case OpGte:
		return sign >= 0
	case OpIn, OpExists, OpOlderThan, OpWithin:
	}
	return false
}

// needsLength tells whether a length of time follows.
func (o Op) needsLength() bool { return o == OpOlderThan || o == OpWithin }

// opList names operators for a reader: "=, != or in".
func opList(ops []Op) string {
	names := make([]string, len(ops))
	for i, o := range ops {
		names[i] = opText[o]
	}
	return either(names)
}

func either(names []string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		text := names[0]
		for _, s := range names[1 : n-1] {
			text += ", " + s
		}
		return text + " or " + names[n-1]
	}
}

func validOp(o Op, ops []Op) bool { return slices.Contains(ops, o) }

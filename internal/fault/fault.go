// Package fault owns the one typed error of the project: a code that the faces map to HTTP, SMTP or an exit status, a text
// that is safe to show, and the cause for the log.
//
// It never knows what failed: no PHI may reach a Text, Where or Mend; ids only, never values.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Code is the class of a fault. The faces translate it; nothing else does.
type Code string

// The codes. A plain error counts as Internal.
const (
	Invalid         Code = "invalid"         // the input is wrong; Where and Mend say what to change
	NotFound        Code = "not_found"       // no such thing, or not the caller's to see
	Conflict        Code = "conflict"        // the state has moved on, or the thing exists
	Forbidden       Code = "forbidden"       // the caller is known and may not
	Unauthenticated Code = "unauthenticated" // the caller is not known
	TooLarge        Code = "too_large"       // over a stated limit
	Exhausted       Code = "exhausted"       // a rate or a count is used up; later
	Unavailable     Code = "unavailable"     // a part we need does not answer; later
	Sealed          Code = "sealed"          // the key is missing, wrong or destroyed
	Internal        Code = "internal"        // ours to mend
)

// Error is the one typed error. Text, Where and Mend may be shown to anyone; Cause is for the log only.
type Error struct {
	Code  Code
	Text  string // what is wrong, a clause without a capital or a full stop
	Where string // where: a field, a line, a path; empty when Text says it
	Mend  string // how to mend it; empty when nothing can be done
	Cause error
}

// Error gives "where: text (mend)"; the cause is not part of it and is reached by errors.Unwrap.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Where != "" {
		b.WriteString(e.Where + ": ")
	}
	b.WriteString(e.Text)
	if e.Mend != "" {
		b.WriteString("; " + e.Mend)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New makes a fault whose text is formatted as by fmt.Sprintf.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Wrap makes a fault around a cause.
func Wrap(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...), Cause: cause}
}

// At returns a copy that says where.
func (e *Error) At(format string, args ...any) *Error {
	c := *e
	c.Where = fmt.Sprintf(format, args...)
	return &c
}

// Hint returns a copy that says how to mend it.
func (e *Error) Hint(format string, args ...any) *Error {
	c := *e
	c.Mend = fmt.Sprintf(format, args...)
	return &c
}

// CodeOf gives the code of the first fault in the chain of err, Internal for any other error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// Is tells whether err carries the code.
func Is(err error, code Code) bool { return CodeOf(err) == code }

// Text gives what may be shown of err: the first fault's own words, or "internal error".
func Text(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Error()
	}
	return "internal error"
}

// Package web owns what the faces share: the row of a routes table, and how a fault is shown over HTTP.
//
// It never knows what a route does. A face lists its routes as Rows with method, path and permission; nothing is served that is
// not in a table, and a row without a permission refuses to start (RFC 9457 is the form of a problem).
package web

import (
	"encoding/json"
	"net/http"

	"github.com/carepost/carepost/internal/fault"
)

// Row is one route of a face: its operation's name, method, path and the permission it asks for. Public routes say so.
type Row struct {
	Operation  string
	Method     string
	Path       string
	Permission string
	Summary    string
}

// Public is the permission of routes that anyone may call.
const Public = "public"

// Problem is an RFC 9457 problem. It echoes no input.
type Problem struct {
	Type   string `json:"type" doc:"The code of the fault, as a URN"`
	Title  string `json:"title" doc:"The class of the fault in words"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty" doc:"What is wrong, where, and how to mend it"`
}

// Error makes a Problem an error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus gives the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is the media type of problems.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

var statuses = map[fault.Code]struct {
	status int
	title  string
}{
	fault.Invalid:         {http.StatusUnprocessableEntity, "The request cannot be used as it is"},
	fault.NotFound:        {http.StatusNotFound, "There is no such thing"},
	fault.Conflict:        {http.StatusConflict, "The state does not allow it"},
	fault.Forbidden:       {http.StatusForbidden, "Not allowed"},
	fault.Unauthenticated: {http.StatusUnauthorized, "Not signed in"},
	fault.TooLarge:        {http.StatusRequestEntityTooLarge, "Too large"},
	fault.Exhausted:       {http.StatusTooManyRequests, "Too many"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "A part does not answer"},
	fault.Sealed:          {http.StatusServiceUnavailable, "Sealed"},
	fault.Internal:        {http.StatusInternalServerError, "Internal error"},
}

// ProblemOf gives the problem that shows an error. What is no fault shows nothing of itself.
func ProblemOf(err error) *Problem {
	code := fault.CodeOf(err)
	s := statuses[code]
	return &Problem{Type: "urn:carepost:" + string(code), Title: s.title, Status: s.status, Detail: fault.Text(err)}
}

// FaultOf reads a problem back, for a client in the same program.
func FaultOf(status int, body []byte) error {
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Status == 0 {
		return fault.New(fault.Internal, "the server answered %d without a problem document", status)
	}
	for code := range statuses {
		if p.Type == "urn:carepost:"+string(code) {
			return &fault.Error{Code: code, Text: p.Detail}
		}
	}
	code := fault.Invalid
	if status >= http.StatusInternalServerError {
		code = fault.Internal
	}
	return &fault.Error{Code: code, Text: p.Detail}
}

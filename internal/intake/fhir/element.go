package fhir

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/people"
)

// The data types of FHIR R4, as far as they are read.

type coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

type concept struct {
	Coding []coding `json:"coding"`
	Text   string   `json:"text"`
}

type reference struct {
	Reference  string      `json:"reference"`
	Type       string      `json:"type"`
	Identifier *identifier `json:"identifier"`
	Display    string      `json:"display"`
}

type identifier struct {
	Use    string  `json:"use"`
	Type   concept `json:"type"`
	System string  `json:"system"`
	Value  string  `json:"value"`
	Period period  `json:"period"`
}

type period struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

type quantity struct {
	Value      json.Number `json:"value"`
	Comparator string      `json:"comparator"`
	Unit       string      `json:"unit"`
	System     string      `json:"system"`
	Code       string      `json:"code"`
}

type humanName struct {
	Use    string   `json:"use"`
	Family string   `json:"family"`
	Given  []string `json:"given"`
	Prefix []string `json:"prefix"`
	Suffix []string `json:"suffix"`
	Text   string   `json:"text"`
	Period period   `json:"period"`
}

type contactPoint struct {
	System string `json:"system"`
	Value  string `json:"value"`
	Use    string `json:"use"`
	Rank   int    `json:"rank"`
	Period period `json:"period"`
}

type address struct {
	Use        string   `json:"use"`
	Type       string   `json:"type"`
	Line       []string `json:"line"`
	City       string   `json:"city"`
	State      string   `json:"state"`
	PostalCode string   `json:"postalCode"`
	Country    string   `json:"country"`
	Period     period   `json:"period"`
}

type extension struct {
	URL       string `json:"url"`
	ValueCode string `json:"valueCode"`
}

type meta struct {
	VersionID   string `json:"versionId"`
	LastUpdated string `json:"lastUpdated"`
}

// code gives the first code of a concept, in lower case.
func (c concept) code() string {
	if len(c.Coding) == 0 {
		return ""
	}
	return strings.ToLower(c.Coding[0].Code)
}

// label gives the concept in the source's own words.
func (c concept) label() string {
	if c.Text != "" {
		return c.Text
	}
	for _, x := range c.Coding {
		if x.Display != "" {
			return x.Display
		}
	}
	return ""
}

// over tells whether a period has ended at the moment of receipt.
func (p period) over(received time.Time) bool {
	if p.End == "" {
		return false
	}
	end, err := people.ParseDate(p.End)
	return err == nil && end.Last().Before(people.DateOf(received))
}

// moment reads a date or time of a field.
func (r *resource) moment(name, text string) people.Moment {
	if text == "" {
		return people.Moment{}
	}
	m, err := people.ParseMoment(strings.TrimSpace(text))
	if err != nil {
		r.warn(name, dateReason(err))
	}
	return m
}

func (r *resource) date(name, text string) people.Date {
	if text == "" {
		return people.Date{}
	}
	d, err := people.ParseDate(strings.TrimSpace(text))
	if err != nil {
		r.warn(name, dateReason(err))
	}
	return d
}

func dateReason(err error) string {
	if strings.Contains(err.Error(), "calendar") {
		return reasonCalendar
	}
	return reasonDate
}

// updated gives the source's time of the last change, and its version.
func (r *resource) updated() (time.Time, string) {
	m := get[meta](r, "meta")
	if m.LastUpdated == "" {
		return time.Time{}, m.VersionID
	}
	at, err := time.Parse(time.RFC3339Nano, m.LastUpdated)
	if err != nil {
		r.warn("meta.lastUpdated", reasonDate)
		return time.Time{}, m.VersionID
	}
	return at.UTC().Truncate(time.Millisecond), m.VersionID
}

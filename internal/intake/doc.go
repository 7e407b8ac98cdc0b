// Package intake owns source messages: imports, the sealed raw lines as they came, what was refused and why, and the way from a raw
// line to the people it is about.
//
// It never knows a format: its subpackages map FHIR, HL7, CSV and track events; nor what becomes of a person. A message is
// committed sealed first, and applied after that; mapping is pure and can be run again. Start with mapper.go for the border and
// import.go for the way. 45 CFR 164.312(c)(1): what came in is kept unaltered.
package intake

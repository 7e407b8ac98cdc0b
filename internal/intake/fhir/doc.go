// Package fhir owns the mapping of FHIR R4 resources (HL7 FHIR 4.0.1; US Core; the Bulk Data Access IG) to changes of people's
// records: own decode-only structs, good parts kept, bad parts warned of by field.
//
// It never knows the database or whether a change was applied; it validates no profiles. Start with mapper.go; resource.go reads
// JSON field by field, code.go brings code systems to aliases.
package fhir

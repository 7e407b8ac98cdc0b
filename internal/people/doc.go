// Package people owns persons, their identifiers and contact points, facts, events, custom fields, sources, and match and merge.
//
// It never knows consents, messages or rules. Start with person.go, fact.go and projection.go for the shapes; sql.go has the
// tables person, person_identifier, fact, event and source.
package people

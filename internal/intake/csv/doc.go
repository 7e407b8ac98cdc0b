// Package csv owns the mapping of tables in text files: delimiter, quotes, encoding and header of a file, the mapping of its columns as
// data, and what each record says of a person or an address.
//
// It never knows where records are kept or how they are applied; it never guesses in silence: what it detected is in the mapping, and a
// cell that may mean two things is left out with its reason. Start with mapping.go for the shape, propose.go for how one is proposed, and
// mapper.go for what a record becomes. RFC 4180, as far as files keep to it.
package csv

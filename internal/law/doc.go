// Package law owns the legal numbers and tables of the product: dated, cited rows with a status, asked by the date of the act;
// the arithmetic of business days; the hours in which a person may be solicited.
//
// It never knows what a message, a person or a breach is, and it never reads a clock: a deadline that began in 2025 keeps the
// rule of 2025. Rows that no one has yet compared with the text in force say so (verified false), and a proposal is never in
// force. Nothing here is legal advice.
//
// The rows stand in law.json; docs/law.md is made from them. A signed file of the same shape replaces them without a release
// (load.go). Read row.go first.
package law

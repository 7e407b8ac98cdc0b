// Package compose owns what a message says and its bytes: typed blocks in several languages, their merge fields, the HTML and the
// plain text made of them, the MIME message around both, the lint of the content, and the stored templates with their versions.
//
// It never knows whether a message may go, to whom, or how it is protected: purpose and class are declared to it, findings are values
// that the gate judges, and links are given to it ready made. Rendering has no clock and no network: the same version, values and
// header fields give the same bytes, so a retry is byte for byte what was tried before.
//
// It follows RFC 5322, 2045-2047, 2231 and 6532 (the message), RFC 8058 (one-click unsubscribe), RFC 3834 (automatic mail), 16 CFR 316
// (commercial mail) and WCAG 2.2 AA. Merge fields are Liquid over plain values; docs/templates.md is the language for its users.
// Read content.go and block.go first, then render.go, then message.go.
package compose

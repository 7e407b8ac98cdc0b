// Package smtpclient owns one SMTP connection to one receiver: greeting, EHLO, STARTTLS with proof, AUTH, and messages one after
// the other, the next envelope riding behind the final dot of the one before (RFC 2920 3.1), with a hook before each final dot.
//
// It never knows queues, retries, policies or keys: the caller says which level of TLS and which name the certificate must prove, and gets
// back what the connection showed. It changes no byte of a message but the dots that RFC 5321 4.5.2 doubles, and refuses to send what it
// would have to change.
//
// It follows RFC 5321, 2920 (PIPELINING), 3207 (STARTTLS), 1870 (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8), 4954 (AUTH PLAIN) and
// 2034 (enhanced status codes). Read dial.go, then send.go; reply.go has the words that come back.
package smtpclient

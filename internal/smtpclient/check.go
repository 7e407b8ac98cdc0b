package smtpclient

import (
	"bytes"
	"errors"
	"strings"
)

// What is refused before a byte of it leaves. The texts hold no value.
var (
	errAddress   = errors.New("smtpclient: an address of the envelope holds a character that cannot be sent")
	errBareLine  = errors.New("smtpclient: the message holds a bare CR or LF")
	errNul       = errors.New("smtpclient: the message holds a NUL")
	errLongLine  = errors.New("smtpclient: the message holds a line of more than 998 bytes")
	errNoLineEnd = errors.New("smtpclient: the message does not end with CRLF")
)

const maxLine = 998 // RFC 5321 4.5.3.1.6, without CRLF

// CheckData tells whether the bytes may be sent as they are. A bare CR or LF is refused, never mended: what a receiver makes of
// one differs, and that difference smuggles messages (CVE-2023-51764 and its kin).
func CheckData(data []byte) error {
	for len(data) > 0 {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			return errNoLineEnd
		}
		line := data[:i]
		if i == 0 || line[i-1] != '\r' {
			return errBareLine
		}
		line = line[:i-1]
		if bytes.IndexByte(line, '\r') >= 0 {
			return errBareLine
		}
		if bytes.IndexByte(line, 0) >= 0 {
			return errNul
		}
		if len(line) > maxLine {
			return errLongLine
		}
		data = data[i+1:]
	}
	return nil
}

// CheckAddress tells whether an address may stand in MAIL or RCPT; the empty address is the null sender.
func CheckAddress(a string) error {
	at := strings.LastIndexByte(a, '@')
	if a != "" && (at < 1 || at == len(a)-1 || at > 64) || len(a) > 254 { // RFC 5321 4.5.3.1
		return errAddress
	}
	quoted := strings.HasPrefix(a, `"`) && at > 1 && a[at-1] == '"'
	for i := range len(a) {
		b := a[i]
		if b < ' ' || b == 0x7f || i > at && (b == '"' || b == ' ') ||
			strings.IndexByte("<>", b) >= 0 || !quoted && strings.IndexByte(` "(),;:\[]@`, b) >= 0 && i < at {
			return errAddress
		}
	}
	return nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func sevenBit(data []byte) bool {
	for _, b := range data {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

package organisation

import "github.com/carepost/carepost/internal/fault"

// Class is the mail class of 15 USC 7702: what the message is to the law of commercial mail. It is declared, never guessed from the
// HIPAA purpose, and a sender identity carries exactly one, so that complaints about one never delay the other.
type Class uint8

// The mail classes. The numbers are stored: append only.
const (
	ClassTransactional Class = 1 // transactional or relationship: 15 USC 7702(17)
	ClassCommercial    Class = 2 // 15 USC 7702(2)
)

// String gives the word that files, commands and headers use.
func (c Class) String() string {
	switch c {
	case ClassTransactional:
		return "transactional"
	case ClassCommercial:
		return "commercial"
	}
	return "undeclared"
}

// ParseClass reads the word.
func ParseClass(text string) (Class, error) {
	for _, c := range []Class{ClassTransactional, ClassCommercial} {
		if c.String() == text {
			return c, nil
		}
	}
	return 0, fault.New(fault.Invalid, "not a mail class").Hint("transactional or commercial")
}

// MarshalText gives the word.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the word.
func (c *Class) UnmarshalText(text []byte) (err error) {
	*c, err = ParseClass(string(text))
	return err
}

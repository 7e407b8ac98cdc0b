package app

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/carepost/carepost/internal/config"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
)

// custody gives who keeps the key of the ring's file, nil when only the file's mode does.
func custody(c config.Config) (seal.Wrapper, error) {
	switch c.Custody {
	case "credential":
		return seal.Credential(os.Getenv("CREDENTIALS_DIRECTORY"), c.Credential)
	case "transit":
		return seal.Transit(seal.TransitOptions{
			Address: c.TransitAddress, Mount: c.TransitMount, Key: c.TransitKey, TokenFile: c.TransitToken, CAFile: c.TransitCA,
		})
	}
	return nil, nil //nolint:nilnil // nobody but the file system
}

// A recovery copy is age (age-encryption.org/v1) to the officers, over: magic 20 | length 4 | plain ring | length 4 | ledger's key.
const (
	recoveryMagic = "carepost recovery 1\n"
	maxRecovery   = 1 << 20
)

// escrow writes a recovery copy of the ring and the ledger's key, which only the recipients open. An older copy at the path is replaced
// and overwritten: a history of copies would outlive the window.
func (a *App) escrow(to []string, path string) error {
	recipients, err := parseRecipients(to)
	if err != nil {
		return err
	}
	signer, err := os.ReadFile(filepath.Join(a.config.Keys, signerFile))
	if err != nil {
		return fmt.Errorf("read the ledger's key: %w", err)
	}
	defer clear(signer)
	var sealed bytes.Buffer
	err = a.parts.Ring.Copy(func(ring []byte) error {
		w, err := age.Encrypt(&sealed, recipients...)
		if err != nil {
			return fmt.Errorf("encrypt a recovery copy: %w", err)
		}
		plain := packRecovery(ring, signer)
		defer clear(plain)
		_, err = w.Write(plain)
		return errors.Join(err, w.Close())
	})
	if err != nil {
		return err
	}
	return seal.ReplaceFile(path, sealed.Bytes())
}

func parseRecipients(to []string) ([]age.Recipient, error) {
	var all []age.Recipient
	for _, text := range to {
		r, err := parseRecipient(text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "not an age recipient").At("to").Hint("it begins with age1; each officer makes a pair with age-keygen and gives the public half")
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, fault.New(fault.Invalid, "a recovery copy is for somebody").At("to")
	}
	return all, nil
}

func parseRecipient(text string) (age.Recipient, error) {
	if strings.HasPrefix(text, "age1pq1") {
		return age.ParseHybridRecipient(text)
	}
	return age.ParseX25519Recipient(text)
}

func packRecovery(ring, signer []byte) []byte {
	b := []byte(recoveryMagic)
	for _, part := range [][]byte{ring, signer} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

func parseRecovery(b []byte) (ring, signer []byte, err error) {
	bad := fault.New(fault.Invalid, "not a recovery copy of a ring").Hint("name the file that carepost key escrow wrote")
	rest, ok := bytes.CutPrefix(b, []byte(recoveryMagic))
	if !ok {
		return nil, nil, bad
	}
	var parts [2][]byte
	for i := range parts {
		if len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-4) {
			return nil, nil, bad
		}
		n := binary.BigEndian.Uint32(rest)
		parts[i], rest = rest[4:4+n], rest[4+n:]
	}
	if len(rest) > 0 {
		return nil, nil, bad
	}
	return parts[0], parts[1], nil
}

// Recover puts the ring and the ledger's key of a recovery copy into the key folder of the settings, in the custody of the settings. It
// replaces neither. The identity is the text of an age identity file.
func Recover(c config.Config, copied, identity io.Reader) error {
	ids, err := age.ParseIdentities(identity)
	if err != nil {
		return fault.New(fault.Invalid, "not an age identity").At("--identity").Hint("name the file that age-keygen wrote; it has a line AGE-SECRET-KEY-1...")
	}
	r, err := age.Decrypt(copied, ids...)
	if err != nil {
		return fault.New(fault.Sealed, "the copy does not open with this identity").Hint("it is for other officers, or damaged")
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxRecovery+1))
	if err != nil || len(plain) > maxRecovery {
		return fault.New(fault.Sealed, "the copy is damaged").Hint("take another officer's")
	}
	defer clear(plain)
	ring, signer, err := parseRecovery(plain)
	if err != nil {
		return err
	}
	keeper, err := custody(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Keys, 0o700); err != nil {
		return fault.Wrap(fault.Invalid, err, "the key folder cannot be made").At("%s", c.Keys)
	}
	key := filepath.Join(c.Keys, signerFile)
	if _, err := os.Lstat(key); errors.Is(err, os.ErrNotExist) {
		if err := ledger.PlaceSigner(key, signer); err != nil {
			return err
		}
	}
	return seal.PlaceRing(filepath.Join(c.Keys, ringFile), ring, keeper)
}

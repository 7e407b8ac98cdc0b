package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/carepost/carepost/internal/fault"
)

// A secret that wraps keys has at least so many bytes and no more than those.
const (
	minCredential = 32
	maxCredential = 4096
)

// credential wraps by a secret that systemd hands to the service, which it may keep sealed by the machine's TPM.
type credential struct {
	key *keyBytes
}

// Credential gives the custody of a secret in the folder of systemd's credentials ($CREDENTIALS_DIRECTORY): a file that only the service
// sees, in memory that is never written to a disk. The secret is at least 32 random bytes.
func Credential(folder, name string) (Wrapper, error) {
	if folder == "" {
		return nil, fault.New(fault.Sealed, "there is no folder of credentials").At("custody").
			Hint("systemd sets CREDENTIALS_DIRECTORY for a unit with LoadCredentialEncrypted=%s:...; docs/keys.md shows the unit", name)
	}
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return nil, fault.New(fault.Invalid, "not the name of a credential").At("custody-credential")
	}
	secret, err := readSecret(filepath.Join(folder, name), maxCredential)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	if len(secret) < minCredential {
		return nil, fault.New(fault.Sealed, "the credential has %d bytes, and needs %d at least", len(secret), minCredential).At("%s", filepath.Join(folder, name)).
			Hint("make one: head -c 32 /dev/urandom | systemd-creds encrypt --name=%s - %s.cred", name, name)
	}
	// Extract first (RFC 5869 2.2): a secret that a person made need not be uniform.
	raw, err := hkdf.Key(sha256.New, secret, nil, string(appendPart(appendPart(nil, label), "ring credential")), keySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a credential: %w", err)
	}
	return &credential{(&vault{}).keep(raw)}, nil
}

func (*credential) Name() string { return "credential" }

// cell is what a wrapped key is bound to.
func (*credential) associated() []byte {
	return appendPart(appendPart(nil, label), "ring credential")
}

func (c *credential) Wrap(key []byte) ([]byte, error) {
	return newAEAD(c.key[:]).Seal(nil, nil, key, c.associated()), nil //nolint:gosec // G407: this AEAD draws its nonce itself and takes none
}

func (c *credential) Unwrap(wrapped []byte) ([]byte, error) {
	key, err := newAEAD(c.key[:]).Open(nil, nil, wrapped, c.associated())
	if err != nil {
		return nil, fault.New(fault.Sealed, "the credential is not the one that the ring was closed with").
			Hint("give the service the credential of this installation, or recover the ring from an officer's copy: carepost key recover")
	}
	return key, nil
}

// readSecret reads a small file that nobody else may read.
func readSecret(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Sealed, "there is no such file").At("%s", path)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Sealed, err, "a secret cannot be read").At("%s", path).Hint("run carepost as the user that owns it")
	}
	defer f.Close() //nolint:errcheck // only read
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("stat %s: %w", path, err)
	}
	switch {
	case !st.Mode().IsRegular():
		return nil, fault.New(fault.Sealed, "a secret is not in a plain file").At("%s", path)
	case st.Mode().Perm()&0o077 != 0:
		return nil, fault.New(fault.Sealed, "a secret may be read by others (mode %04o)", st.Mode().Perm()).At("%s", path).Hint("chmod 600 %s", path)
	case st.Size() > most:
		return nil, fault.New(fault.Sealed, "a secret has more than %d bytes", most).At("%s", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

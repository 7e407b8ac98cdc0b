package cli

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/app"
	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/ledger"
	"github.com/carepost/carepost/internal/seal"
)

type keyCommand struct {
	Show         keyShowCommand         `cmd:"" help:"The epochs of the ring, its custody, and which nodes have yet to drop what was destroyed."`
	Rotate       keyRotateCommand       `cmd:"" help:"Begin a new epoch now; the server does so each night."`
	Escrow       keyEscrowCommand       `cmd:"" help:"Write a recovery copy that only the named officers open."`
	Recover      keyRecoverCommand      `cmd:"" help:"Put the ring of a recovery copy in place, on a machine that has none."`
	Person       keyShredPersonCommand  `cmd:"" name:"shred-person" help:"Destroy a person's records, with every backup after 36 days."`
	Month        keyShredMonthCommand   `cmd:"" name:"shred-month" help:"Destroy what was sealed in a month."`
	Organisation keyShredAllCommand     `cmd:"" name:"shred-organisation" help:"Destroy everything of an organisation, and close it."`
	Certificates keyCertificatesCommand `cmd:"" help:"The certificates of destruction, or one of them."`
	Verify       keyVerifyCommand       `cmd:"" name:"verify-certificate" help:"Verify a certificate of destruction offline."`
}

type keyShowCommand struct{}

// Run shows the epochs, never a key.
func (*keyShowCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out struct {
			Ring    string      `json:"ring"`
			Custody string      `json:"custody"`
			Open    int         `json:"open"`
			Waiting []string    `json:"waiting,omitempty"`
			Epochs  []api.Epoch `json:"epochs"`
		}
		if err := c.call(e.ctx, http.MethodGet, "/keys", nil, nil, &out); err != nil {
			return err
		}
		e.say("ring %s, custody %s", out.Ring, out.Custody)
		for _, x := range out.Epochs {
			until := "in use"
			if x.Superseded != nil {
				until = "superseded " + x.Superseded.Format(time.RFC3339)
			}
			e.say("epoch %d  made %s  %s", x.Number, x.Made.Format(time.RFC3339), until)
		}
		if out.Open > 0 {
			e.say("%d destructions wait for nodes to drop keys from memory: %s", out.Open, strings.Join(out.Waiting, " "))
		}
		return e.result(out)
	})
}

type keyRotateCommand struct{}

// Run rotates.
func (*keyRotateCommand) Run(e *env) error {
	return e.with(func(c *client) error {
		var out map[string]int
		if err := c.call(e.ctx, http.MethodPost, "/keys/rotate", nil, nil, &out); err != nil {
			return err
		}
		e.say("epoch %d began; %d keys are under it; %d epochs were destroyed", out["epoch"], out["rewrapped"], out["destroyed"])
		return e.result(out)
	})
}

type keyEscrowCommand struct {
	To   []string `required:"" help:"An age recipient, age1...; may repeat." sep:"none"`
	File string   `arg:"" help:"The copy; an older one is replaced."`
}

// Run writes the copy.
func (c *keyEscrowCommand) Run(e *env) error {
	path, err := filepath.Abs(c.File)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "not a path")
	}
	return e.with(func(cl *client) error {
		var out map[string]any
		if err := cl.call(e.ctx, http.MethodPost, "/keys/escrow", nil, map[string]any{"to": c.To, "path": path}, &out); err != nil {
			return err
		}
		e.say("%s: the ring as it is now, for %d to recover. Keep the newest only, on another machine: an old copy opens old backups.", c.File, len(c.To))
		return e.result(out)
	})
}

type keyRecoverCommand struct {
	Identity string `required:"" help:"The officer's age identity file." type:"existingfile"`
	Copy     string `arg:"" help:"The recovery copy." type:"existingfile"`
}

// Run puts ring and ledger key into the key folder of the settings. No server runs there yet.
func (c *keyRecoverCommand) Run(e *env) error {
	identity, err := os.Open(c.Identity)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the identity cannot be read").At("--identity")
	}
	defer identity.Close() //nolint:errcheck // only read
	copied, err := os.Open(c.Copy)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the copy cannot be read").At("%s", c.Copy)
	}
	defer copied.Close() //nolint:errcheck // only read
	if err := app.Recover(e.config, copied, identity); err != nil {
		return err
	}
	e.say("The ring is in %s. Take the recovery copy away, then start the server or restore a backup.", e.config.Keys)
	return e.result(map[string]string{"keys": e.config.Keys})
}

// shredFlags are what every destruction asks for.
type shredFlags struct {
	Basis   string `required:"" enum:"retention-ended,not-a-patient,court-order,test-data,wound-up" help:"Why it may be destroyed: retention-ended (checked), not-a-patient, court-order, test-data or wound-up."`
	Confirm string `help:"The name of what is destroyed, typed beforehand; asked for when left out." placeholder:"NAME"`
	Out     string `help:"Also write the certificate to a new file." placeholder:"FILE"`
}

// shred asks for the name once more, destroys, and shows the certificate.
func (f *shredFlags) shred(e *env, what string, named func(*client) (string, error), body map[string]any) error {
	return e.with(func(c *client) error {
		name, err := named(c)
		if err != nil {
			return err
		}
		if f.Confirm == "" {
			if f.Confirm, err = e.typed("This destroys " + what + " " + name + ". No backup older than 36 days from now on will hold it, and none brings it back into this database.\nType " + name + " to go on: "); err != nil {
				return err
			}
		}
		if f.Confirm != name {
			return fault.New(fault.Invalid, "nothing was destroyed: the name was not typed").At("--confirm").Hint("type %s", name)
		}
		body["what"], body["basis"], body["confirm"] = what, f.Basis, f.Confirm
		var out struct {
			ID          string    `json:"id"`
			Certificate string    `json:"certificate"`
			Keys        int       `json:"keys"`
			Complete    time.Time `json:"complete"`
			Stays       []string  `json:"stays,omitempty"`
		}
		if err := c.call(e.ctx, http.MethodPost, "/shreddings", nil, body, &out); err != nil {
			return err
		}
		e.say("%s", out.Certificate)
		if f.Out != "" {
			if err := writeNew(f.Out, out.Certificate); err != nil {
				return err
			}
		}
		return e.result(out)
	})
}

// typed asks a question and reads one line.
func (e *env) typed(question string) (string, error) {
	if _, err := io.WriteString(e.err, question); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(e.in).ReadString('\n')
	if err != nil && line == "" {
		return "", fault.New(fault.Invalid, "nothing was destroyed: nobody confirmed it").At("--confirm").Hint("give --confirm, or run it at a terminal")
	}
	return strings.TrimSpace(line), nil
}

func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the certificate cannot be written; `carepost key certificates` shows it again").At("%s", path)
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

type keyShredPersonCommand struct {
	Person string `arg:"" help:"per_..."`
	shredFlags
}

// Run shreds.
func (c *keyShredPersonCommand) Run(e *env) error {
	return c.shred(e, "person", func(*client) (string, error) { return c.Person, nil }, map[string]any{"person": c.Person})
}

type keyShredMonthCommand struct {
	Month    string   `arg:"" help:"yyyy-mm"`
	Purposes []string `name:"purpose" help:"message, raw, file, ledger or job; may repeat. message, raw and file when left out."`
	shredFlags
}

// Run shreds.
func (c *keyShredMonthCommand) Run(e *env) error {
	body := map[string]any{"month": c.Month}
	if len(c.Purposes) > 0 {
		body["purposes"] = c.Purposes
	}
	return c.shred(e, "month", func(*client) (string, error) { return c.Month, nil }, body)
}

type keyShredAllCommand struct{ shredFlags }

// Run shreds.
func (c *keyShredAllCommand) Run(e *env) error {
	return c.shred(e, "organisation", func(cl *client) (string, error) {
		if e.organisation != "" {
			return e.organisation, nil
		}
		var out struct {
			Organisations []api.Organisation `json:"organisations"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/organisations", nil, nil, &out); err != nil {
			return "", err
		}
		if len(out.Organisations) != 1 {
			return "", fault.New(fault.Invalid, "there are several organisations").Hint("name one with --organisation org_N")
		}
		return out.Organisations[0].ID, nil
	}, map[string]any{})
}

type keyCertificatesCommand struct {
	ID string `arg:"" optional:"" help:"crt_...; all of them when left out."`
}

// Run lists the certificates, or prints one as it was signed.
func (c *keyCertificatesCommand) Run(e *env) error {
	return e.with(func(cl *client) error {
		if c.ID != "" {
			var out map[string]any
			if err := cl.call(e.ctx, http.MethodGet, "/shreddings/"+url.PathEscape(c.ID), nil, nil, &out); err != nil {
				return err
			}
			e.say("%s", out["certificate"])
			return e.result(out)
		}
		var out struct {
			Shreddings []api.Shredding `json:"shreddings"`
		}
		if err := cl.call(e.ctx, http.MethodGet, "/shreddings", nil, nil, &out); err != nil {
			return err
		}
		for _, s := range out.Shreddings {
			e.say("%s  %s", s.ID, s.Made.Format(time.RFC3339))
		}
		return e.result(out)
	})
}

type keyVerifyCommand struct {
	File string `arg:"" help:"The certificate." type:"existingfile"`
	Key  string `required:"" help:"The installation's public key, or a file that holds it: carepost ledger show prints it."`
}

// Run verifies with nothing but the file and the key.
func (c *keyVerifyCommand) Run(e *env) error {
	signed, err := os.ReadFile(c.File)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the certificate cannot be read").At("%s", c.File)
	}
	text, origin, err := ledger.VerifyStatement(signed, keyText(c.Key))
	if err != nil {
		return err
	}
	cert, err := seal.ParseCertificate(text)
	if err != nil {
		return err
	}
	if cert.Origin != origin {
		return fault.New(fault.Invalid, "the certificate is of another installation than its signature").At("%s", c.File)
	}
	e.say("Signed by %s: %s %s of %s was destroyed on %s (%s, %d keys). From %s on no copy opens.", origin, cert.What, strings.Join(cert.Of, " "), cert.Organisation,
		cert.At.Format(time.RFC3339), cert.Basis, cert.Keys, cert.Complete.Format(time.RFC3339))
	for _, s := range cert.Stays {
		e.say("Not destroyed, and may speak of it: %s", s)
	}
	return e.result(map[string]any{
		"verified": true, "origin": origin, "certificate": cert.ID.String(), "organisation": cert.Organisation.String(), "what": cert.What, "of": cert.Of,
		"month": cert.Month, "keys": cert.Keys, "basis": cert.Basis, "at": cert.At, "complete": cert.Complete, "stays": cert.Stays,
	})
}

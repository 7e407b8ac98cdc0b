// Package cli owns the commands: their words, flags, output and exit status.
//
// It never knows how a thing is done: a command calls the API's handlers, of the running process or of its own, and shows what they
// gave. Every --json ends with one JSON object on the last line of standard output. Read cli.go, then the file named after the command.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/carepost/carepost/internal/config"
	"github.com/carepost/carepost/internal/fault"
)

// commands is the grammar: one field per command.
type commands struct {
	Config       string   `help:"Settings file." env:"CAREPOST_CONFIG" placeholder:"FILE"`
	Set          []string `help:"Override a setting: key=value. May repeat." placeholder:"KEY=VALUE" sep:"none"`
	Organisation string   `help:"Which organisation is meant; may be left out while there is only one." placeholder:"org_N"`
	JSON         bool     `name:"json" help:"End with one JSON object on the last line."`

	Init     initCommand     `cmd:"" help:"Make a new installation: folders, keys, the first organisation with its sending domain."`
	Serve    serveCommand    `cmd:"" help:"Run the server until it is told to stop."`
	Demo     demoCommand     `cmd:"" help:"The whole story in a minute, on a data folder of its own."`
	Doctor   doctorCommand   `cmd:"" help:"Look whether everything is as it should be."`
	Settings settingsCommand `cmd:"" name:"config" help:"The settings in force, an example file, or their documentation."`
	User     userCommand     `cmd:"" help:"Users, roles and permissions."`
	Domain   domainCommand   `cmd:"" help:"Domains we send from, their DNS records, and routes to recipients' domains."`
	Policy   policyCommand   `cmd:"" help:"The protection policy."`
	Key      keyCommand      `cmd:"" help:"The key ring."`
	Backup   backupCommand   `cmd:"" help:"Write a verified backup."`
	Restore  restoreCommand  `cmd:"" help:"Restore a backup into a fresh place."`
	Import   importCommand   `cmd:"" help:"Import an EHR export (FHIR Bulk Data)."`
	Person   personCommand   `cmd:"" help:"Find and show people; record what they allowed."`
	Segment  segmentCommand  `cmd:"" help:"Save, count and explain rules."`
	Template templateCommand `cmd:"" help:"Store and preview templates."`
	Send     sendCommand     `cmd:"" help:"Send a template to a segment, or see who would get it and how."`
	Message  messageCommand  `cmd:"" help:"Messages: why this way, and what happened."`
	Ledger   ledgerCommand   `cmd:"" help:"Export, verify and reopen the ledger."`
	Bench    benchCommand    `cmd:"" help:"Measure this machine with this program; figures, never a test."`
	Child    childCommand    `cmd:"" name:"demo-serve" hidden:"" help:"The server of the demo."`

	Receive benchReceiveCommand `cmd:"" name:"bench-receive" hidden:"" help:"The receiving process of bench send."`

	Org       organisationCommand `cmd:"" name:"organisation" help:"Organisations, what they say of themselves, and their sender identities."`
	Agreement agreementCommand    `cmd:"" help:"Business associate agreements."`
}

// env is what a command runs with.
type env struct {
	ctx          context.Context //nolint:containedctx // the life of one command
	in           io.Reader
	out, err     io.Writer
	json         bool
	organisation string
	config       config.Config
}

// Main runs one command line and gives the exit status: 0 done, 1 it could not be done, 2 the command line is wrong.
func Main(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	exit := -1
	parser, err := grammar(&c, out, errs, func(code int) { exit = code })
	if err != nil {
		fmt.Fprintln(errs, "carepost:", err) //nolint:errcheck // nowhere else to say it
		return 2
	}
	k, err := parser.Parse(askedForHelp(args))
	if exit >= 0 {
		return exit
	}
	if err != nil {
		fmt.Fprintf(errs, "carepost: %s\n", wrongLine(err)) //nolint:errcheck // nowhere else to say it
		return 2
	}
	e := &env{ctx: ctx, in: in, out: out, err: errs, json: c.JSON, organisation: c.Organisation}
	if err := c.run(k, e); err != nil {
		return e.fail(err)
	}
	return 0
}

func grammar(c *commands, out, errs io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(c, kong.Name("carepost"), kong.Description("Secure messages to patients, decided by the law and proven by a ledger."),
		kong.Writers(out, errs), kong.Exit(exit), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
}

// askedForHelp takes "help" and "help COMMAND" as people write them.
func askedForHelp(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	}
	return args
}

// wrongLine says what is wrong with a command line, and where its help is.
func wrongLine(err error) string {
	help := "carepost --help"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil && parse.Context.Selected() != nil {
		help = parse.Context.Selected().FullPath() + " --help"
	} else if what, ok := strings.CutPrefix(err.Error(), "unexpected argument "); ok {
		return "there is no command " + what + "; `" + help + "` lists them"
	}
	return err.Error() + "; see `" + help + "`"
}

func (c *commands) run(k *kong.Context, e *env) (err error) {
	set, err := overrides(c.Set)
	if err != nil {
		return err
	}
	if e.config, err = config.Load(c.Config, os.Environ(), set); err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(e.config.LogLevel)); err != nil {
		return fault.Wrap(fault.Invalid, err, "not a log level").At("log-level")
	}
	if k.Command() != "serve" && level < slog.LevelWarn {
		level = slog.LevelWarn // a command shows its result; the log is the server's
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: level})))
	return k.Run(e, &c.Bench)
}

func overrides(set []string) (map[string]string, error) {
	all := map[string]string{}
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return nil, fault.New(fault.Invalid, "not a setting").At("--set").Hint("write key=value; `carepost config` lists the keys")
		}
		all[key] = value
	}
	return all, nil
}

// errFailed ends a command that has said itself what did not hold.
var errFailed = errors.New("cli: failed")

func (e *env) fail(err error) int {
	if !errors.Is(err, errFailed) {
		fmt.Fprintln(e.err, "carepost:", fault.Text(err)) //nolint:errcheck // nowhere else to say it
		if fault.Is(err, fault.Internal) {
			slog.Error("the command failed", "error", err)
		}
	}
	return 1
}

// say prints for people; with --json it stays silent.
func (e *env) say(format string, args ...any) {
	if !e.json {
		fmt.Fprintf(e.out, format+"\n", args...) //nolint:errcheck // a closed pipe ends the command by itself
	}
}

// result ends a command: the JSON object for programs.
func (e *env) result(v any) error {
	if !e.json {
		return nil
	}
	return json.NewEncoder(e.out).Encode(v)
}

// with runs a command over the API.
func (e *env) with(do func(c *client) error) error {
	c, err := connect(e.ctx, e.config, e.organisation)
	if err != nil {
		return err
	}
	defer c.close()
	return do(c)
}

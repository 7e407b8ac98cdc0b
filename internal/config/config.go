// Package config owns the typed settings of an installation: what may be set, its default, its documentation and where it comes
// from: a YAML file, then the environment (CAREPOST_ and the key in capitals), then flags; the later one wins.
//
// It never knows what a setting is for. The struct tags are the documentation; docs/config.md is made from them. An unknown key
// refuses to start and names the nearest known one. What an organisation decides (policy, senders) is data, not a setting.
package config

import (
	"strings"
	"time"
)

// Config is every setting. The zero value is not usable: Load fills the defaults.
type Config struct {
	Data           string        `key:"data" default:"/var/lib/carepost" doc:"Folder of the embedded database, its lock and the socket. One process at a time holds it."`
	Keys           string        `key:"keys" default:"/etc/carepost/keys" doc:"Folder of the epoch ring and the ledger's signing key. Keep it on another volume than the data; whoever holds both reads everything."`
	Custody        string        `key:"custody" default:"file" oneof:"file credential transit" doc:"Who keeps the key of the epoch ring's file: file is nobody but its mode; credential is a secret that systemd hands to the service; transit is OpenBao or Vault. docs/keys.md says which to choose."`
	Credential     string        `key:"custody-credential" default:"carepost-ring" doc:"Name of the systemd credential, for custody credential."`
	TransitAddress string        `key:"transit-address" doc:"Address of OpenBao or Vault, as in https://bao.example.org:8200, for custody transit. Plain http on this machine only."`
	TransitMount   string        `key:"transit-mount" default:"transit" doc:"Path of the transit engine."`
	TransitKey     string        `key:"transit-key" default:"carepost" doc:"Name of the key in the transit engine."`
	TransitToken   string        `key:"transit-token-file" doc:"File with the token for the transit engine, readable by Carepost only. It is read anew each time, so an agent may renew it."`
	TransitCA      string        `key:"transit-ca" doc:"PEM file of the roots that the transit engine's certificate is verified by. Empty uses the system's."`
	EscrowTo       string        `key:"escrow-to" doc:"age recipients (age1...), separated by spaces, who may recover the ring: two officers at least. A copy is written after each night's epoch."`
	EscrowFile     string        `key:"escrow-file" doc:"Where that copy is written, over the last one: a folder that is carried to another machine, and of which no history is kept."`
	DSN            string        `key:"dsn" secret:"true" doc:"PostgreSQL connection string. Empty uses the embedded database in the data folder."`
	Host           string        `key:"host" default:"localhost" doc:"Public host name of this installation: links in messages and the ledger's origin are made from it, never from a request."`
	Socket         string        `key:"socket" doc:"Path of the command socket. Empty is carepost.sock in the data folder."`
	Resolver       string        `key:"resolver" doc:"host:port of the DNS resolver. Empty takes the first of /etc/resolv.conf."`
	Validates      string        `key:"resolver-validates" default:"no" oneof:"no yes" doc:"yes: the resolver validates DNSSEC and listens on this machine, so its word (the AD bit) is believed and DANE counts. no for one that only forwards, whatever it says."`
	Helo           string        `key:"helo" doc:"Name said in EHLO. Empty is the host."`
	Source         string        `key:"source" doc:"Source IP addresses of outgoing mail, by commas. Each keeps its own lanes and reputation. Empty lets the system choose."`
	Connections    int           `key:"connections" default:"100" min:"1" max:"10000" doc:"Most connections to receiving mail servers at once."`
	Freshness      time.Duration `key:"freshness" default:"48h" doc:"How long after its last import a source counts as fresh. Absence in a silent source is unknown, not a no."`
	Witnesses      string        `key:"witnesses" doc:"Who cosigns the ledger: the URL of a witness, a space and its public key; a semicolon before the next one. Empty asks nobody."`
	WitnessEach    time.Duration `key:"witness-each" default:"1m" doc:"How often the witnesses are asked for trees of the ledger that grew."`
	Law            string        `key:"law" doc:"Signed file of legal numbers and dates that takes the place of the built-in table. It may not be older."`
	LawKey         string        `key:"law-key" doc:"Public key of who signs the law file: name+hash+key."`
	LogLevel       string        `key:"log-level" default:"info" oneof:"debug info warn error" doc:"Least level that is logged."`
}

// SocketPath gives the socket's path.
func (c Config) SocketPath() string {
	if c.Socket != "" {
		return c.Socket
	}
	return strings.TrimRight(c.Data, "/") + "/carepost.sock"
}

// Sources gives the source addresses.
func (c Config) Sources() (all []string) {
	for s := range strings.SplitSeq(c.Source, ",") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// HeloName gives the name for EHLO.
func (c Config) HeloName() string {
	if c.Helo != "" {
		return c.Helo
	}
	return c.Host
}

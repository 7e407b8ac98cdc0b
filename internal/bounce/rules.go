package bounce

import "time"

// rules is the table, in order: the first that matches decides. Texts of single receivers that cannot be read otherwise stand first,
// then what is about us (encryption, authentication, DNS, reputation, rate), then what is about the message, then the recipient, then
// the receiver's rules. Where a text names two reasons, the one about us wins: a recipient is never given up for our own fault.
var rules = []rule{
	// Codes in brackets that receivers publish.
	{name: "yahoo.volume", class: RateLimit, say: []string{"tss04", "tss05", "ts01", "ts02", "ts03 temporarily*"}, wait: 2 * time.Hour},
	{name: "yahoo.blocked", class: Reputation, say: []string{"bl21", "bl22", "bl23", "ts03", "ipts02", "ipts04"}, wait: 4 * time.Hour},
	{name: "yahoo.permanent", class: Policy, scope: ScopeSource, say: []string{"tss09", "tss11", "ph01"}},
	{name: "microsoft.rate", class: RateLimit, say: []string{"s3115"}, wait: time.Hour},
	{name: "microsoft.blocked", class: Reputation, say: []string{"s3113", "s3114", "s3140", "s3150", "s775", "s8002", "ou 002"}, wait: 30 * time.Minute},
	{name: "apple.policy", class: SpamBlock, say: []string{"cs01"}},
	{name: "apple.volume", class: RateLimit, say: []string{"hcm1", "bs02"}, wait: 15 * time.Minute},
	{name: "apple.auth", class: Auth, say: []string{"hme1"}},
	{name: "comcast.blocked", class: Reputation, say: []string{"bl000000", "bl000010", "bl00000*"}, wait: 2 * time.Hour},
	{name: "comcast.rate", class: RateLimit, say: []string{"rl00000*"}, wait: 2 * time.Hour},
	{name: "aup.rate", class: RateLimit, say: []string{"aup in 1*", "aup#in 1*", "aup out 1*"}},
	{name: "aup.block", class: Reputation, say: []string{"aup cdrbl", "aup blk", "aup#cdrbl"}},
	{name: "godaddy.rate", class: RateLimit, say: []string{"ib605", "ib607", "ib103", "ib110", "ib007"}},
	{name: "godaddy.block", class: Reputation, say: []string{"ib101", "ib105", "ib106", "ib111"}},

	{name: "t-online.block", class: Reputation, say: []string{"problem occurred ask your postmaster*"}},

	// Encryption.
	{name: "tls.wanted", class: TLS, say: []string{
		"starttls is required*", "must issue a starttls*", "starttls required", "starttls command first", "must support tls", "tls not available*",
		"tls required", "requires tls", "encryption required", "unencrypted connection", "over a tls connection", "require tls*",
		"tls is required", "use tls", "encrypted connection", "starttls first",
	}, not: []string{"rcpt domain"}},
	{name: "tls.failed", class: TLS, say: []string{
		"certificate validation*", "certificate expired", "certificate is expired", "certificate verif*", "certificate has expired", "tls handshake*", "ssl handshake*",
		"tlsa invalid", "dane validation", "dane", "mta sts", "dnssec invalid", "dnssec records", "tls negotiation*", "starttls failed", "starttls not supported",
		"restrictdomainstocertificate", "pipeline after starttls", "tls failure", "tls session*",
	}},
	{name: "tls.status", class: TLS, status: []string{".7.10", ".7.29", ".7.320", ".7.321", ".7.322", ".7.323", ".7.324", ".7.325", ".7.51"}},

	// What names authentication or spam beside something plainer.
	{name: "content.strict", class: Content, say: []string{
		"duplicate header*", "encoded word syntax*", "not rfc 5322*", "not rfc 2822*", "not rfc compliant", "multiple subject*", "not compliant with rfc*", "duplicate headers*",
	}},
	{name: "rate.unusual", class: RateLimit, soft: true, say: []string{"unusual rate*"}},

	// Authentication of the sender.
	{name: "auth.policy", class: Policy, say: []string{
		"unauthenticated senders not allowed", "turn on smtp authentication*", "restricted to recipients*",
		"tls required for rcpt domain*", "not in whitelist*",
	}},
	{name: "auth.dns", class: DNS, say: []string{
		"ptr records and authentication", "requires that all mail servers must have a ptr*", "valid reverse dns*",
	}},
	{name: "auth.dmarc", class: Auth, say: []string{
		"dmarc*", "spf", "dkim", "sender policy framework", "authentication level", "authentication requirements", "senderid", "sender id check*",
		"authentication checks", "sender authentication*", "domainkeys*", "sender is unauthenticated", "unauthenticated email*", "mail is unauthenticated",
		"unauthenticated mail*", "not authenticated mail",
	}, not: []string{"dnsbl*", "spf record domain not found"}},
	{name: "auth.login", class: Auth, say: []string{
		"authentication required*", "auth required", "smtp auth*", "username and password not accepted*", "authentication failed*", "invalid credentials",
		"authentication credentials*", "application specific password*", "log in with your web browser*", "cannot authenticate*", "authentication unsuccessful*",
		"authentication is required*", "authenticate first", "must authenticate*", "not authenticated", "requires authentication", "need to authenticate*", "please authenticate*",
	}},
	{
		name: "auth.status", class: Auth, status: []string{".7.20", ".7.21", ".7.22", ".7.23", ".7.24", ".7.26", ".7.27", ".7.30", ".7.32", ".7.509", ".7.515"},
		not: []string{"null mx"},
	},

	// Our DNS, or theirs.
	{name: "dns.reverse", class: DNS, say: []string{
		"ptr", "reverse dns", "rdns", "reverse lookup*", "reverse mapping*", "reverse hostname*", "reverse name*", "cannot find your hostname*", "cannot find your reverse*",
		"ip name lookup failed", "unverifiable sending ips", "unverifiable sending*", "unverifyable*", "mismatches client ip", "forward confirmed*", "client host name*", "hostname lookup*",
		"your hostname*", "fcrdns", "no reverse*", "name lookup failed", "helo name does not resolve*", "resolve your helo*",
	}, not: []string{"dnsbl", "blacklist*", "spamhaus"}},
	{name: "dns.status", class: DNS, status: []string{".7.25"}},
	{name: "dns.sender", class: DNS, say: []string{
		"sender address rejected domain not found", "domain of sender address does not exist", "unresolvable*", "sender domain does not exist*",
		"could not resolve*", "cannot resolve*", "unable to resolve*", "does not resolve*", "invalid dns*", "bad dns*", "no mx*", "dns lookup failed*", "sender domain not found*",
		"sender domain must*", "sender domain must resolve*", "mx record*", "dns error*", "dns query*", "dns failure*", "dns timeout*", "dns domain*", "name server*", "nxdomain",
		"name service error*", "name resolution*", "dns lookup*", "dns records*", "dns a record*", "dns server*", "dns problem*", "a aaaa resource record",
	}, not: []string{"recipient address rejected", "null mx", "dnsbl*"}},
	{name: "dns.host", class: DNS, say: []string{
		"host unknown", "unknown host", "host not found", "domain not found", "domain does not exist", "no such domain", "invalid domain", "domain is not reachable",
		"temporary domain failure", "domain name not found", "host or domain name not found", "no such host", "unrouteable domain", "unroutable domain", "bad destination host*",
		"bad destination system*", "domain name does not exist", "domain is not found", "nonexistent domain", "non existent domain", "unknown domain",
		"domain unknown", "host lookup did not complete", "all relevant mx records*", "illegal host*", "domain lookup failed*",
	}, not: []string{"recipient domain", "invalid domain name", "sender address", "rcpthosts"}},

	// Reputation of our address or domain. A list of links in the text is about the message.
	{name: "spam.link", class: SpamBlock, say: []string{
		"uribl", "surbl", "blacklisted url", "blacklisted link", "spam url", "dbl spamhaus org", "url in message", "spamvertised*", "links within", "blocked url*",
		"listed in dbl", "uri blacklist*", "domain blacklist*", "contains a url*", "link in the message*", "content blacklist*",
	}, not: []string{"reputation", "spamhaus dbl"}},
	{name: "rate.greylist", class: RateLimit, scope: ScopeRecipient, wait: 5 * time.Minute, say: []string{
		"greylist*", "graylist*", "grey list*", "gray list*", "greylisting*", "greyed", "grey rbl", "postgrey", "sqlgrey", "first time sender*", "deferred for*",
	}},
	{name: "reputation.list", class: Reputation, say: []string{
		"dnsbl*", "rbl*", "blacklist*", "blocklist*", "block list*", "black list*", "blackhole*", "spamhaus*", "sorbs", "spamcop", "spamrl*", "listed", "barracudacentral*",
		"barracuda reputation", "cbl", "xbl", "sbl", "pbl", "zen spamhaus*", "senderbase", "senderscore*", "sender score*", "invaluement*", "mail abuse com", "csi cloudmark*",
		"cloudmark*", "hostkarma*", "blocklisted", "blacklistis", "spl xbl*", "psbl", "uceprotect*", "backscatterer*", "trend micro rbl*", "denylist*", "deny list*",
		"blocked using", "is blocked for assistance*", "drbl*", "realtime block*", "rtbl", "abuseat*", "njabl", "dsbl", "mxrate*", "ipbl", "abusix*", "hostkarma",
	}, not: []string{
		"recipient addr listed", "allowed listed", "url*", "virus", "geographic*", "not listed", "manually blocked*", "list of senders", "allowlists*", "auto blocklist url*",
	}},
	{name: "reputation.words", class: Reputation, say: []string{
		"reputation*", "bad reputation", "poor reputation", "low reputation", "reputation fail", "reputation ratelimit*", "banned sending*", "banned sender*",
		"ip address blacklisted", "identified as spammer", "spammer*", "spamming*", "sending spam", "blocked for spam*", "block for spam", "incident de spam",
		"your access to this mail system has been rejected*", "access to submit messages*", "your ip address has been*", "ip has been blocked*", "your ip is blocked*",
		"client host rejected may not*", "may not be mail exchanger", "invalid ip for sending*", "blocked for abuse*", "untrusted ip blocked", "has been blocked by*",
		"not accepting connections", "you are not allowed to connect", "allowed to connect", "refused by the*", "mail from ip banned*", "ip banned*", "host is blocked*", "ip blocked*",
		"blocked ip", "ip based", "mail from your ip*", "messages from ip werent sent", "sending ip*", "sent from your ip address has been blocked", "client host ip blocked*",
		"connection refused by policy*", "blocked by ldap*", "ip ip rejected", "ip rejected", "unsolicited mail originating from your ip*", "trust your ip*",
		"bad ip*", "blocked because of spam*", "suspicious ip*", "ip is suspicious*", "hosts abuse*", "network is blocked*", "dynamic ip*", "dynamic address*", "dialup*", "dial up*", "residential*",
		"open relay detected", "open proxy*", "open relay database*", "botnet*", "trojan*", "host has been blocked*", "server has been blocked*", "blocked by our*", "from your network*",
	}, not: []string{
		"temporarily rate limited due to*", "rate limited", "temporarily rate*", "has sent to too many*", "frequency*", "geographic*", "too many messages from*", "url*",
		"probability*", "looks like spam", "traffic not accepted from this ip*", "virus*", "not authorized to send*", "whitelist*",
	}},
	{name: "reputation.limited", class: Reputation, say: []string{"ip reputation", "sender reputation", "domain reputation"}},

	// Too much, too fast.
	{name: "policy.quota", class: Policy, say: []string{"same message id"}},
	{name: "rate.words", class: RateLimit, say: []string{
		"rate limit*", "ratelimit*", "rate limited", "too quickly", "too fast", "throttl*", "too many connections*", "too many concurrent*", "concurrent connections", "number of connections",
		"connection limit*", "connections limit*", "slow down", "excessive volume", "unusual rate", "too many recent*", "too many messages*", "too many recipients*", "too many emails*", "too many mails*",
		"messages per hour", "per hour", "this hour", "per day", "daily*", "frequency limited", "frequency*", "limit exceeded", "exceeded the limit*", "exceeded their limit*", "exceeds the limit of messages*",
		"receiving mail at a rate*", "unexpected volume*", "volume*", "user complaints", "queue quota exceeded", "relay limit*", "sending limit*", "temporarily deferred", "maximum number of connections",
		"too much mail*", "too many sessions*", "too many errors*", "session limit*", "messages from ip temporarily deferred", "recipient limit*", "sent too many*", "trop de connexions*",
		"try again later closing connection*", "message limit*", "messages limit*", "hourly*", "exceeded maximum*", "limit on the number*", "receiving rate*", "deferred due to*",
		"reached the limit*", "sending rate*", "connection rate*", "busy try*", "max connection*", "maximum connections*", "exceeded rate*", "exceeding rate*", "rate control*", "rate exceeded*",
	}, not: []string{
		"size limit*", "mailbox size*", "mailbox limit*", "inode limit*", "blocks limit*", "headers*", "hops", "invalid recipients", "message length*", "attachment*", "quota for user*", "message size*",
		"storage limit*", "unresolvable*", "recipsizelimit*", "line limit*", "line too*", "limit bytes*", "number of attachments*", "error code*",
	}},
	{name: "rate.status", class: RateLimit, status: []string{".7.28", ".7.650", ".2.121", ".2.122", ".5.3"}},

	// The mailbox is full.
	{name: "full.words", class: MailboxFull, say: []string{
		"mailbox full", "mailbox is full", "over quota", "overquota", "quota exceeded", "exceeded quota", "quota exceed*", "exceeded storage*", "out of storage*", "exceeds quota", "quota violation",
		"mailbox size limit exceeded", "mailbox quota*", "disk quota*", "storage quota*", "user is over*", "inbox is full", "inbox full", "account is full", "mail box full", "mail box is full",
		"mailfolder is full", "mailbox for user is full", "mailbox has exceeded*", "exceeded its storage*", "exceeded its quota", "exceeds allowed quota", "quota full", "insufficient storage space*", "not enough storage*",
		"mailbox is over*", "over the maximum allowed quota", "storage full", "storage is full", "storage limit*", "inode limit*", "quotaexceeded*", "mailbox exceeded*", "user has exhausted*", "quota of the user*",
		"no space left in mailbox*", "would exceed*", "maildir*", "over disk quota", "over their quota", "too many messages in mailbox*", "mailbox limit*", "boite pleine", "bal pleine", "bal du destinataire pleine",
		"postfach voll", "postfach ist voll", "buzon lleno", "casella piena", "caixa postal cheia", "mailbox has no space*", "user is out of quota*", "out of quota", "not enough space*", "exceeded the quota*",
		"mailbox storage*", "recipients mailbox is full*", "boîte pleine", "buzón lleno",
	}},
	{name: "full.status", class: MailboxFull, status: []string{".2.2"}, not: []string{"unknown*", "does not exist*"}},
	{name: "full.code", class: MailboxFull, code: []int{522}},

	// The message.
	{name: "content.size", class: Content, scope: ScopeMessage, say: []string{
		"too large", "too big", "size limit*", "maximum message size", "maximum size", "message size*", "message length*", "exceeds fixed*", "exceeds size*", "exceeds maximum*", "max message size*", "headers too*", "header size*",
		"exceeds the maximum*", "larger than*", "oversize*", "size of your message*", "recipsizelimit*", "number of attachments*", "limit bytes*", "message exceeded*",
	}, not: []string{"50 hops", "hops"}},
	{name: "content.status", class: Content, status: []string{".3.4", ".2.3"}, not: []string{"policy*", "mailpolicy*"}},
	{name: "spam.mixed", class: SpamBlock, say: []string{"spam or virus*"}},
	{name: "content.form", class: Content, say: []string{
		"virus*", "malware*", "infected*", "attachment*", "banned content", "banned file*", "duplicate header*", "rfc 5322", "rfc 2822", "rfc2822*", "rfc5322*", "not rfc*", "malformed*", "message header*", "headers are*",
		"message id header*", "missing a valid*", "unicode character*", "encoded word*", "bare lf*", "bare newline*", "bare cr*", "8bit*", "mime", "mime type*", "line too long*", "header based", "invalid header*", "illegal attachment*",
		"potential security issue*", "presents a potential*", "multiple from*", "from header*", "missing header*", "date header*", "null characters*", "executable*", "lines in message*", "not a valid rfc 5321 address sender*",
		"non ascii*", "bad header*", "syntax of header*", "unsafe*", "phish*", "empty message*", "missing from*", "trojan horse*", "macro*", "header syntax*", "message not properly*", "header contains*",
		"sender address address is not a valid*",
	}, not: []string{"spam", "anti spoofing*", "blocked senders*", "spamsignature*", "recipient address"}},
	{name: "spam.words", class: SpamBlock, say: []string{
		"spam", "spam*", "unsolicited*", "ube", "uce", "junk*", "bulk mail*", "bulk email*", "content rejected", "message content rejected", "content denied", "mail content*", "suspicious", "message filtered", "high probability*",
		"scored as*", "looks like*", "content filter*", "denied by content*", "content reject*", "bayes*", "spamassassin*", "score too*", "advertis*", "bulk*", "mcspamsignature*", "rejected by content*", "message content*", //nolint:misspell // a pattern for both endings
		"antispam*", "filtered as*", "blocked by filter*", "content policy*", "ers customized*",
	}, not: []string{"antispoof*", "spf", "bulk senders guide*", "contact abuse only*", "ers customized block"}},
	{name: "content.rfc", class: Content, status: []string{".6.0", ".6.1", ".6.2", ".6.3", ".6.4", ".6.5", ".6.7", ".6.11"}},

	// Loops, queues, trouble of theirs: words that must not be read as a missing user.
	{name: "other.trouble", class: Other, say: []string{
		"too many hops", "50 hops", "mail loop*", "loop detected*", "message expired*", "queue expired*", "too many invalid recipients", "unverified address", "timed out", "timeout*", "timeout exceeded", "lost connection*",
		"internal error*", "internal system error", "system error*", "temporary server error*", "server busy*", "temporarily rejected message*", "insufficient system*", "insufficient disk*", "out of memory*", "procmail*",
		"resources temporarily*", "resource temporarily*", "license expired*", "try reconnecting*", "could not load drd*", "system resources*", "configuration error*", "local error*", "mail system error*", "server error*", "unable to read*",
		"temporary system problem*", "connection was closed*", "agent busy*", "no healthy secondary*", "bad sequence*", "improper sequence*", "out of sequence*", "no data after*", "command parameter*", "recipient error*", "unknown error",
		"syntax error*", "connection refused message*", "not accepting network*", "connection reset*", "currently unavailable*", "service unavailable try again later*", "command not*", "out of disk*", "delivery temporarily suspended*", "temporarily unavailable*", "service temporarily*",
	}, not: []string{"unknown user*", "user unknown*", "mailbox unavailable invalid*", "temporarily unavailable account*", "local mailbox*"}},

	// The recipient.
	{name: "hard.words", class: HardBounce, say: []string{
		"user unknown*", "unknown user", "user not known*", "no such user*", "no such recipient*", "no such mailbox*", "no such address*", "no such account*", "no such person*", "no mailbox here by that name*", "no mailbox*",
		"user not found*", "user doesnt exist*", "user does not exist*", "user addr does not exist*", "user addr doesnt exist*", "user didnt exist*", "user not exist*", "mailbox not found*", "mailbox does not exist*", "mailbox doesnt exist*", "mailbox unknown*",
		"unknown mailbox*", "invalid mailbox*", "invalid recipient*", "recipient invalid", "recipient unknown*", "unknown recipient*", "recipient not found*", "recipientnotfound*", "recipient does not exist*", "recipient doesnt exist*",
		"address does not exist*", "address doesnt exist*", "address unknown*", "unknown address*", "address not found*", "unknown or illegal alias*", "addr dosnt exist*", "not a valid recipient*", "invalid address*",
		"invalid user*", "not our customer*", "not our user*", "no longer valid", "no longer on server*", "no longer in use*", "no longer employed*", "no longer with*", "no longer works*", "addressee unknown*", "not in address book*", "not in our directory*", "not in directory*", "doesnt have a*", "does not have a*",
		"account does not exist*", "account doesnt exist*", "email account that you tried to reach*", "could not be found or was misspelled*", "not in recipient list*", "not a valid email address*", "not a valid rfc 5321 address*",
		"not a valid rfc*", "recipient address is not*", "user account*", "undeliverable address*", "not configured to receive*", "inactive email*", "account has been disabled*", "account disabled*", "account is disabled*", "account is inactive*",
		"mailbox disabled*", "mailbox is disabled*", "mailbox is inactive*", "mailbox is frozen*", "mailbox has been blocked due to inactivity*", "disabled recipient*",
		"recipient rejected inactive*", "addr rejected inactive*", "account expired*", "user is inactive*", "mailbox inactive*", "bad address syntax*", "bad recipient*", "bad destination mailbox*", "bad mailbox*",
		"illegal user*", "illegal alias*", "alias not found*", "marked as invalid", "unrouteable address*", "unroutable address*", "recipient unavailable", "destinataire invalide*", "utilisateur inconnu*", "destinataire inconnu*", "adresse inconnue*",
		"unbekannt*", "empfanger unbekannt*", "empfaenger*", "kein solcher*", "usuario desconocido*", "destinatario desconocido*", "usuario no existe*", "cuenta no existe*", "utente sconosciuto*", "destinatario sconosciuto*", "destinatario inesistente*", "usuario inexistente*",
		"destinatario inexistente*", "not have an account*", "not a known user*", "not known here*", "isnt a valid*", "unknown account*", "unknown local*", "unknown virtual*", "unknown in*", "not listed in*", "this user doesnt*",
		"is not a valid user*", "is not a valid mailbox*", "is not a user*", "is not a known*", "addr not found", "not valid user*",
		"address is invalid*", "addr invalid*", "invalid alias*", "address you entered*", "recipient address invalid*", "invalid address rejected*", "blank mailhost*", "temporary locked*", "rejected by recipients*", "deceased*",
		"werent able to find the recipient domain*", "user not local*", "local user*", "not local mailbox*", "user has moved*", "mailbox moved*", "closed account*", "account closed*", "account has been closed*", "account is closed*", "vacated*",
		"not on this server*", "not hosted*", "is not here*", "not handled here*", "recipient is not*", "recipient not valid*", "recipient not known*", "recipient not exist*", "recipient no longer*", "no account*", "no user*", "no recipient*", "mail is disabled for*", "not accepting mail*",
		"no valid recipient*", "has no mailbox*", "mailbox unavailable", "mailbox not available*", "mailbox addr unavailable*", "recipient doesnt*", "host does not accept mail*", "null mx*", "destination address does*",
	}, not: []string{
		"sender*", "relay access*", "relaying*", "relay denied*", "relay not*", "to relay*", "open relay*", "internal*", "dmarc*", "user is receiving*", "quota*", "policy*", "access denied mailbox*",
		"originating*", "from domain*", "return path*", "envelope from*", "mail from", "access to*",
	}},
	{name: "hard.gone", class: HardBounce, say: []string{
		"does not exist*", "dosnt exist*", "doesnt exist*", "not exist*", "is unknown*", "could not be found*", "couldnt be found*", "cannot be found*", "is disabled*", "has been disabled*", "is inactive*", "suspended*", "has been suspended*", "deactivated*", "terminated*", "locked*", "retired*", "discontinued*", "is no longer*", "no longer exist*", "no longer available*", "no longer active*", "is not known*", "has moved*",
	}, and: []string{"addr", "user*", "recipient*", "mailbox*", "account*", "address*", "customer*", "person*", "alias*", "employee*", "rcpt"}, not: []string{
		"sender*", "relay access*", "relaying*", "relay denied*", "relay not*", "to relay*", "open relay*", "internal*", "dmarc*", "user is receiving*", "quota*", "policy*", "access denied mailbox*",
		"originating*", "from domain*", "return path*", "envelope from*", "mail from", "access to*",
	}},
	{name: "hard.directory", class: HardBounce, status: []string{".4.1"}, say: []string{"access denied", "all recipient addresses rejected*"}, hard: true},
	{name: "hard.access", class: HardBounce, say: []string{"mailbox unavailable or access denied*"}},
	{
		name: "hard.rcpt", class: HardBounce, hard: true, say: []string{"recipient address rejected", "address rejected", "addr recipient rejected", "addr rejected"},
		not: []string{
			"policy*", "access denied*", "blocked*", "block*", "domain*", "abuse*", "greylist*", "sender*", "relay*", "too many*", "try again*", "spam*", "http*", "unverified*",
			"denied*", "restrict*", "rejection*", "customized*", "no domain*", "multiple*", "need*", "fully*", "helo*",
		},
	},
	{
		name: "hard.status", class: HardBounce, hard: true, status: []string{".1.1", ".1.3", ".1.6", ".1.10", ".1.351"},
		not: []string{"sender*", "policy*", "sent to too many*", "quota*", "recipient preferences*", "refused due*", "spf*"},
	},
	{name: "hard.disabled", class: HardBounce, hard: true, status: []string{".2.1", ".7.13"}, not: []string{"rate*", "policy*", "receiving*"}},

	// The receiver's rules.
	{name: "policy.words", class: Policy, say: []string{
		"relay*", "relaying*", "policy*", "mailpolicy*", "not allowed*", "not authorized*", "not permitted*", "not accept*", "denied*", "prohibit*", "refused*", "sender rejected*", "sender address*", "invalid sender*", "unroutable sender*", "sender denied*",
		"access denied*", "banned*", "blocked*", "block*", "restrict*", "spoof*", "not verified*", "identity changes*", "rejecting*", "protocol violation*", "geographic*", "geoip*", "rcpthosts*", "forbidden*", "permission*", "unauthorized*",
		"gateway*", "not in my list*", "reject*", "helo*", "ehlo*", "does not accept*", "recipient preferences*", "administrative*", "relayed*", "security*", "unverified*", "violat*", "whitelist*", "failed to delivery*",
	}, not: []string{"service unavailable*"}},
}

package id

// The kinds. A prefix is never reused for another kind.
type (
	Person         = Of[personKind]
	ContactPoint   = Of[contactKind]
	Fact           = Of[factKind]
	Event          = Of[eventKind]
	Import         = Of[importKind]
	Raw            = Of[rawKind]
	Segment        = Of[segmentKind]
	Template       = Of[templateKind]
	Message        = Of[messageKind]
	Send           = Of[sendKind]
	Pickup         = Of[pickupKind]
	Consent        = Of[consentKind]
	Authorization  = Of[authorizationKind]
	Restriction    = Of[restrictionKind]
	Suppression    = Of[suppressionKind]
	Agreement      = Of[agreementKind]
	SenderIdentity = Of[senderKind]
	Domain         = Of[domainKind]
	Location       = Of[locationKind]
	User           = Of[userKind]
	Role           = Of[roleKind]
	APIKey         = Of[apiKeyKind]
	Job            = Of[jobKind]
	File           = Of[fileKind]
	Route          = Of[routeKind]
	Request        = Of[requestKind]
	Certificate    = Of[certificateKind]
)

type (
	personKind        struct{}
	contactKind       struct{}
	factKind          struct{}
	eventKind         struct{}
	importKind        struct{}
	rawKind           struct{}
	segmentKind       struct{}
	templateKind      struct{}
	messageKind       struct{}
	sendKind          struct{}
	pickupKind        struct{}
	consentKind       struct{}
	authorizationKind struct{}
	restrictionKind   struct{}
	suppressionKind   struct{}
	agreementKind     struct{}
	senderKind        struct{}
	domainKind        struct{}
	locationKind      struct{}
	userKind          struct{}
	roleKind          struct{}
	apiKeyKind        struct{}
	jobKind           struct{}
	fileKind          struct{}
	routeKind         struct{}
	requestKind       struct{}
	certificateKind   struct{}
)

func (personKind) prefix() string        { return "per" }
func (contactKind) prefix() string       { return "con" }
func (factKind) prefix() string          { return "fct" }
func (eventKind) prefix() string         { return "evt" }
func (importKind) prefix() string        { return "imp" }
func (rawKind) prefix() string           { return "raw" }
func (segmentKind) prefix() string       { return "seg" }
func (templateKind) prefix() string      { return "tpl" }
func (messageKind) prefix() string       { return "msg" }
func (sendKind) prefix() string          { return "snd" }
func (pickupKind) prefix() string        { return "pck" }
func (consentKind) prefix() string       { return "cns" }
func (authorizationKind) prefix() string { return "aut" }
func (restrictionKind) prefix() string   { return "rst" }
func (suppressionKind) prefix() string   { return "sup" }
func (agreementKind) prefix() string     { return "agr" }
func (senderKind) prefix() string        { return "sid" }
func (domainKind) prefix() string        { return "dom" }
func (locationKind) prefix() string      { return "loc" }
func (userKind) prefix() string          { return "usr" }
func (roleKind) prefix() string          { return "rol" }
func (apiKeyKind) prefix() string        { return "key" }
func (jobKind) prefix() string           { return "job" }
func (fileKind) prefix() string          { return "fil" }
func (routeKind) prefix() string         { return "rte" }
func (requestKind) prefix() string       { return "req" }
func (certificateKind) prefix() string   { return "crt" }

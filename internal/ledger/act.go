package ledger

import "strconv"

// Act is what was done. The numbers stand in leaves that are signed and kept for years: append only, never reuse one, never
// change what one means. act_test.go pins them.
type Act uint16

// The acts.
const (
	ActDecision         Act = 1  // the gate decided on one message to one recipient
	ActDisclosure       Act = 2  // PHI left: an export, a feed, a file
	ActView             Act = 3  // somebody looked at a record or a message
	ActRefusal          Act = 4  // an asker was refused
	ActSignIn           Act = 5  // a staff member or an API key proved who it is
	ActSignInFailed     Act = 6  // somebody did not
	ActSignOut          Act = 7  // a session ended
	ActChange           Act = 8  // a record was changed by a person or a source
	ActImport           Act = 9  // an import wrote about one person
	ActSubmit           Act = 10 // a message was handed in to be sent
	ActAcceptance       Act = 11 // the receiving server took the message
	ActBounce           Act = 12 // the message came back or was refused for good
	ActPickup           Act = 13 // the recipient opened a kept message
	ActHold             Act = 14 // a message waits for a person
	ActRelease          Act = 15 // a held message was let go or given up
	ActConsent          Act = 16 // a consent was given or withdrawn
	ActAuthorization    Act = 17 // an authorization was recorded, revoked or ran out
	ActRestriction      Act = 18 // a restriction or a request for confidential communication
	ActSuppression      Act = 19 // an address is not to be written to, or may be again
	ActWarning          Act = 20 // a person was warned about plain mail and answered
	ActAgreement        Act = 21 // an agreement with a business associate was recorded or ended
	ActStaff            Act = 22 // a user, role, permission or API key was made, changed or ended
	ActBreakGlass       Act = 23 // somebody reached past a permission in an emergency
	ActSetting          Act = 24 // a setting or a policy was changed
	ActKeyMade          Act = 25 // a key came to be
	ActKeyDestroyed     Act = 26 // a key was destroyed; what it sealed is gone
	ActRestore          Act = 27 // the database was restored; the object names the lost range. Written by Reopen only
	ActExport           Act = 28 // the ledger or a record was exported
	ActUndo             Act = 29 // an import was undone
	ActMerge            Act = 30 // two records of a person became one
	ActUnmerge          Act = 31 // they became two again
	ActComplaint        Act = 32 // the recipient called the message spam
	ActReply            Act = 33 // the recipient answered
	ActCampaign         Act = 34 // a campaign was made, approved, started or stopped
	ActJourney          Act = 35 // a journey was made, approved, started or stopped
	ActForm             Act = 36 // a form was filled in
	ActRequest          Act = 37 // a person asked for access, amendment or an accounting
	ActIncident         Act = 38 // an incident was recorded or assessed
	ActBackup           Act = 39 // a backup was written
	ActStart            Act = 40 // the program started
	ActStop             Act = 41 // the program stopped in order
	ActLegalHold        Act = 42 // a hold on destruction was set or lifted
	ActTraining         Act = 43 // a staff member finished a training
	ActSegment          Act = 44 // a saved rule was made or changed
	ActTemplate         Act = 45 // a template was made, changed or approved
	ActOrganisation     Act = 46 // an organisation, location, sender or domain was made or changed
	ActDeliveryGivenUp  Act = 47 // a message ran out of time before any server took it
	ActInDoubt          Act = 48 // whether a server took the message is not known
	ActDrill            Act = 49 // a restore was tried out
	ActSource           Act = 50 // a source of records was connected, changed or fell silent
	ActNumberReassigned Act = 51 // an address or phone number was found to belong to somebody else
)

var acts = map[Act]struct{ code, text string }{
	ActDecision:         {"decision", "the gate decided on a message"},
	ActDisclosure:       {"disclosure", "health information was disclosed"},
	ActView:             {"view", "a record was looked at"},
	ActRefusal:          {"refusal", "a request was refused"},
	ActSignIn:           {"sign_in", "signed in"},
	ActSignInFailed:     {"sign_in_failed", "failed to sign in"},
	ActSignOut:          {"sign_out", "signed out"},
	ActChange:           {"change", "a record was changed"},
	ActImport:           {"import", "a record was imported"},
	ActSubmit:           {"submit", "a message was handed in"},
	ActAcceptance:       {"acceptance", "the receiving server accepted the message"},
	ActBounce:           {"bounce", "the message was returned"},
	ActPickup:           {"pickup", "the recipient opened the message"},
	ActHold:             {"hold", "the message was held for a person"},
	ActRelease:          {"release", "a held message was decided"},
	ActConsent:          {"consent", "a consent was given or withdrawn"},
	ActAuthorization:    {"authorization", "an authorization was recorded or revoked"},
	ActRestriction:      {"restriction", "a restriction was recorded or lifted"},
	ActSuppression:      {"suppression", "an address was suppressed or released"},
	ActWarning:          {"warning", "a warning about plain mail was answered"},
	ActAgreement:        {"agreement", "an agreement was recorded or ended"},
	ActStaff:            {"staff", "a user, role or key was changed"},
	ActBreakGlass:       {"break_glass", "emergency access was taken"},
	ActSetting:          {"setting", "a setting was changed"},
	ActKeyMade:          {"key_made", "a key was made"},
	ActKeyDestroyed:     {"key_destroyed", "a key was destroyed"},
	ActRestore:          {"restore", "the database was restored from a backup"},
	ActExport:           {"export", "an export was written"},
	ActUndo:             {"undo", "an import was undone"},
	ActMerge:            {"merge", "two records were merged"},
	ActUnmerge:          {"unmerge", "a merge was undone"},
	ActComplaint:        {"complaint", "the recipient complained"},
	ActReply:            {"reply", "the recipient replied"},
	ActCampaign:         {"campaign", "a campaign was changed, started or stopped"},
	ActJourney:          {"journey", "a journey was changed, started or stopped"},
	ActForm:             {"form", "a form was filled in"},
	ActRequest:          {"request", "a person made a request about the record"},
	ActIncident:         {"incident", "an incident was recorded"},
	ActBackup:           {"backup", "a backup was written"},
	ActStart:            {"start", "the program started"},
	ActStop:             {"stop", "the program stopped"},
	ActLegalHold:        {"legal_hold", "a legal hold was set or lifted"},
	ActTraining:         {"training", "a training was finished"},
	ActSegment:          {"segment", "a segment was changed"},
	ActTemplate:         {"template", "a template was changed"},
	ActOrganisation:     {"organisation", "an organisation's settings were changed"},
	ActDeliveryGivenUp:  {"given_up", "a message could not be delivered in time"},
	ActInDoubt:          {"in_doubt", "whether a message was accepted is not known"},
	ActDrill:            {"drill", "a restore was rehearsed"},
	ActSource:           {"source", "a source was connected, changed or fell silent"},
	ActNumberReassigned: {"reassigned", "an address or number was found to be somebody else's"},
}

// String gives the act's code, as counts and filters name it: "decision". An act of a newer program is "act_700".
func (a Act) String() string {
	if known, ok := acts[a]; ok {
		return known.code
	}
	return "act_" + strconv.Itoa(int(a))
}

// Text says in a clause what was done.
func (a Act) Text() string {
	if known, ok := acts[a]; ok {
		return known.text
	}
	return "an act that this version of the program does not know"
}

// Known tells whether this program writes the act.
func (a Act) Known() bool { _, ok := acts[a]; return ok }

// MarshalText gives the code.
func (a Act) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// ParseAct reads a code.
func ParseAct(code string) (Act, bool) {
	for a, known := range acts {
		if known.code == code {
			return a, true
		}
	}
	return 0, false
}

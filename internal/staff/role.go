package staff

import (
	"slices"

	"github.com/carepost/carepost/internal/fault"
)

// Role is a set of permissions that is granted as one: 45 CFR 164.308(a)(4), access by job.
type Role string

// The roles.
const (
	Administrator Role = "administrator"
	Officer       Role = "compliance-officer"
	Marketer      Role = "marketer"
	Clinician     Role = "clinician"
	Developer     Role = "developer"
	Auditor       Role = "auditor"
)

// Roles lists every role.
var Roles = []Role{Administrator, Officer, Marketer, Clinician, Developer, Auditor}

// grants is the minimum each job needs (45 CFR 164.502(b)): the administrator runs the machine and reads no record; the auditor
// reads and changes nothing; a marketer counts people and does not open them.
var grants = map[Role][]Permission{
	Administrator: {OrganisationView, OrganisationChange, StaffView, StaffChange, KeysView, KeysRotate, BackupsRun, HealthView, ImportsRun, ImportsView, LedgerReopen},
	Officer: {
		PeopleView, ConsentsChange, ImportsView, SegmentsView, TemplatesView, MessagesView, MessagesRelease, LedgerView, LedgerExport, LedgerReopen,
		OrganisationView, OrganisationChange, StaffView, KeysView, KeysShred, HealthView,
	},
	Marketer:  {SegmentsView, SegmentsChange, TemplatesView, TemplatesChange, MessagesSend, ImportsView, OrganisationView},
	Clinician: {PeopleView, PeopleChange, ConsentsChange, SegmentsView, TemplatesView, MessagesSend, MessagesView, MessagesRelease},
	Developer: {ImportsRun, ImportsView, SegmentsView, TemplatesView, TemplatesChange, MessagesSend, OrganisationView, HealthView},
	Auditor:   {LedgerView, LedgerExport, OrganisationView, StaffView, KeysView, MessagesView},
}

// ParseRole reads a role's name.
func ParseRole(text string) (Role, error) {
	if r := Role(text); slices.Contains(Roles, r) {
		return r, nil
	}
	return "", fault.New(fault.Invalid, "not a role").Hint("it is one of administrator, compliance-officer, marketer, clinician, developer, auditor")
}

// Can tells whether one of the roles holds the permission. No role, no permission.
func Can(roles []Role, p Permission) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(grants[r], p) })
}

package staff

// Permission is what a route asks for: verb and thing.
type Permission string

// The permissions. A route names exactly one of them.
const (
	PeopleView         Permission = "view:people"
	PeopleChange       Permission = "change:people"
	ConsentsChange     Permission = "change:consents"
	ImportsRun         Permission = "run:imports"
	ImportsView        Permission = "view:imports"
	SegmentsView       Permission = "view:segments"
	SegmentsChange     Permission = "change:segments"
	TemplatesView      Permission = "view:templates"
	TemplatesChange    Permission = "change:templates"
	MessagesSend       Permission = "send:messages"
	MessagesView       Permission = "view:messages"
	MessagesRelease    Permission = "release:messages"
	LedgerView         Permission = "view:ledger"
	LedgerExport       Permission = "export:ledger"
	LedgerReopen       Permission = "reopen:ledger"
	OrganisationView   Permission = "view:organisation"
	OrganisationChange Permission = "change:organisation"
	StaffView          Permission = "view:staff"
	StaffChange        Permission = "change:staff"
	KeysView           Permission = "view:keys"
	KeysRotate         Permission = "rotate:keys"
	KeysShred          Permission = "shred:keys"
	BackupsRun         Permission = "run:backups"
	HealthView         Permission = "view:health"
)

// Permissions lists every permission.
var Permissions = []Permission{
	PeopleView, PeopleChange, ConsentsChange, ImportsRun, ImportsView, SegmentsView, SegmentsChange, TemplatesView, TemplatesChange,
	MessagesSend, MessagesView, MessagesRelease, LedgerView, LedgerExport, LedgerReopen, OrganisationView, OrganisationChange,
	StaffView, StaffChange, KeysView, KeysRotate, KeysShred, BackupsRun, HealthView,
}

package api

import (
	"net/http"

	"github.com/carepost/carepost/internal/staff"
	"github.com/carepost/carepost/internal/web"
)

// routes is the one table of the face: name, method, path, permission, handler.
func (f *Face) routes() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return []route{
		on(web.Row{Operation: "health", Method: get, Path: "/api/v1/health", Permission: web.Public, Summary: "Whether the process lives, and whether it is ready"}, f.health),

		on(row("list-organisations", get, "/organisations", staff.OrganisationView, "The organisations of the installation"), f.listOrganisations),
		on(row("create-organisation", post, "/organisations", staff.OrganisationChange, "Make an organisation with its first sender"), f.createOrganisation),
		on(row("get-profile", get, "/profile", staff.OrganisationView, "What the organisation says of itself"), f.getProfile),
		on(row("set-profile", put, "/profile", staff.OrganisationChange, "Change what the organisation says of itself"), f.setProfile),
		on(row("get-policy", get, "/policy", staff.OrganisationView, "The protection policy in force"), f.getPolicy),
		on(row("set-policy", put, "/policy", staff.OrganisationChange, "Put a new version of the protection policy in force"), f.setPolicy),
		on(row("list-senders", get, "/senders", staff.OrganisationView, "The sender identities"), f.listSenders),
		on(row("create-sender", post, "/senders", staff.OrganisationChange, "Make a sender identity"), f.createSender),
		on(row("close-sender", del, "/senders/{id}", staff.OrganisationChange, "Close a sender identity; messages that name it are held"), f.closeSender),
		on(row("list-domains", get, "/domains", staff.OrganisationView, "The domains that the organisation sends from"), f.listDomains),
		on(row("create-domain", post, "/domains", staff.OrganisationChange, "Make a domain with its DKIM keys"), f.createDomain),
		on(row("check-domain", get, "/domains/{name}/check", staff.OrganisationView, "What DNS says of a domain, and what it should say"), f.checkDomain),
		on(row("list-domain-keys", get, "/domains/{name}/keys", staff.OrganisationView, "The DKIM keys of a domain"), f.listDomainKeys),
		on(row("create-domain-keys", post, "/domains/{name}/keys", staff.OrganisationChange, "Make new DKIM keys, to be published before they sign"), f.createDomainKeys),
		on(row("activate-domain-keys", post, "/domains/{name}/keys/activate", staff.OrganisationChange, "Let the new DKIM keys sign, once DNS shows them"), f.activateDomainKeys),
		on(row("list-routes", get, "/routes", staff.OrganisationView, "The configured routes to recipient domains"), f.listRoutes),
		on(row("create-route", post, "/routes", staff.OrganisationChange, "Send a recipient domain to a server of one's choice"), f.createRoute),
		on(row("delete-route", del, "/routes/{id}", staff.OrganisationChange, "Remove a route"), f.deleteRoute),

		on(row("list-users", get, "/users", staff.StaffView, "The users and their roles"), f.listUsers),
		on(row("create-user", post, "/users", staff.StaffChange, "Make a user with roles"), f.createUser),
		on(row("grant-role", put, "/users/{id}/roles/{role}", staff.StaffChange, "Grant a role"), f.grantRole),
		on(row("revoke-role", del, "/users/{id}/roles/{role}", staff.StaffChange, "Take a role away"), f.revokeRole),
		on(row("end-user", del, "/users/{id}", staff.StaffChange, "End a user"), f.endUser),

		on(row("list-imports", get, "/imports", staff.ImportsView, "The newest imports"), f.listImports),
		on(row("create-import", post, "/imports", staff.ImportsRun, "Import a folder of FHIR Bulk Data, or a CSV file, on this machine"), f.createImport),
		on(row("propose-mapping", post, "/imports/mapping", staff.ImportsRun, "What a CSV file on this machine seems to be: a mapping to use or to change"), f.proposeMapping),
		on(row("get-import", get, "/imports/{id}", staff.ImportsView, "What an import has done so far"), f.getImport),
		on(row("undo-import", post, "/imports/{id}/undo", staff.ImportsRun, "Take an import back: what it replaced is current again"), f.undoImport),
		on(row("remap-import", post, "/imports/{id}/remap", staff.ImportsRun, "Map what was kept of an import again, after a mapping was mended"), f.remapImport),
		on(row("list-quarantine", get, "/imports/{id}/quarantine", staff.ImportsView, "The lines that an import put aside, by number and reason"), f.listQuarantine),

		on(row("find-people", post, "/people/find", staff.PeopleView, "Find people by identifier, address or name"), f.findPeople),
		on(row("get-person", get, "/people/{id}", staff.PeopleView, "One person's record"), f.getPerson),
		on(row("merge-person", post, "/people/{id}/merge", staff.PeopleChange, "Make another record the survivor of this one; the strictest consent counts"), f.mergePerson),
		on(row("unmerge-person", post, "/people/{id}/unmerge", staff.PeopleChange, "Give a merged record back to itself, exactly"), f.unmergePerson),
		on(row("create-records", post, "/records", staff.ConsentsChange, "Record consents, authorizations, restrictions and requests"), f.createRecords),
		on(row("end-record", post, "/records/end", staff.ConsentsChange, "Withdraw, revoke, lift, end or release one record"), f.endRecord),
		on(row("answer-proposal", post, "/records/answer", staff.ConsentsChange, "Accept or reject a permit that a source reported"), f.answerProposal),
		on(row("list-records", get, "/people/{id}/records", staff.PeopleView, "A person's consents, authorizations, restrictions and requests"), f.listRecords),
		on(row("list-agreements", get, "/agreements", staff.OrganisationView, "The business associate agreements"), f.listAgreements),
		on(row("create-agreement", post, "/agreements", staff.OrganisationChange, "Record a business associate agreement"), f.createAgreement),
		on(row("amend-agreement", put, "/agreements/{id}", staff.OrganisationChange, "Change the terms of an agreement"), f.amendAgreement),
		on(row("end-agreement", post, "/agreements/{id}/end", staff.OrganisationChange, "End an agreement; it covers nothing after its last day"), f.endAgreement),

		on(row("list-segments", get, "/segments", staff.SegmentsView, "The saved rules"), f.listSegments),
		on(row("create-segment", post, "/segments", staff.SegmentsChange, "Save a rule"), f.createSegment),
		on(row("try-rule", post, "/rules/try", staff.SegmentsView, "Count the people whom a rule matches now"), f.tryRule),
		on(row("count-segment", get, "/segments/{name}/count", staff.SegmentsView, "Count the people whom a segment matches now"), f.countSegment),
		on(row("list-segment-people", get, "/segments/{name}/people", staff.PeopleView, "The people whom a segment matches now"), f.segmentPeople),
		on(row("explain-segment", get, "/segments/{name}/left-out", staff.SegmentsView, "Who is left out, and why"), f.leftOut),
		on(row("why-person", get, "/segments/{name}/people/{person}", staff.PeopleView, "Why a person is in a segment, or not"), f.whyPerson),
		on(row("list-value-sets", get, "/value-sets", staff.SegmentsView, "The value sets that rules refer to"), f.listValueSets),
		on(row("put-value-set", put, "/value-sets", staff.SegmentsChange, "Save a value set, or a new version of it"), f.putValueSet),

		on(row("list-templates", get, "/templates", staff.TemplatesView, "The templates"), f.listTemplates),
		on(row("create-template", post, "/templates", staff.TemplatesChange, "Store a template, or a new version of it"), f.createTemplate),
		on(row("preview-template", get, "/templates/{name}/preview", staff.PeopleView, "A template as one person would get it"), f.previewTemplate),
		on(row("withdraw-template", post, "/templates/{name}/withdraw", staff.TemplatesChange, "Take a template out of use"), f.withdrawTemplate),

		on(row("list-sends", get, "/sends", staff.MessagesView, "The newest sends with their counts"), f.listSends),
		on(row("create-send", post, "/sends", staff.MessagesSend, "Send a template to a segment or to named people"), f.createSend),
		on(row("preview-send", post, "/sends/preview", staff.MessagesSend, "For each person whether it may go, how, and why; nothing is sent"), f.previewSend),
		on(row("get-send", get, "/sends/{id}", staff.MessagesView, "One send with its counts"), f.getSend),
		on(row("list-messages", get, "/messages", staff.MessagesView, "Messages by send, state or person"), f.listMessages),
		on(row("get-message", get, "/messages/{id}", staff.MessagesView, "One message: why this way, and everything that happened"), f.getMessage),
		on(row("release-message", post, "/messages/{id}/release", staff.MessagesRelease, "Let a held message be decided again"), f.releaseMessage),
		on(row("cancel-message", post, "/messages/{id}/cancel", staff.MessagesRelease, "Give a message up"), f.cancelMessage),

		on(row("get-ledger", get, "/ledger", staff.LedgerView, "The newest checkpoint and the public key"), f.getLedger),
		on(row("list-entries", get, "/ledger/entries", staff.LedgerView, "Entries, the newest first"), f.listEntries),
		on(row("record-disclosure", post, "/people/{id}/disclosures", staff.ConsentsChange, "Record that health information was disclosed: to whom, what and why"), f.recordDisclosure),
		on(row("get-disclosures", get, "/people/{id}/disclosures", staff.LedgerView, "A person's accounting of disclosures"), f.getAccount),
		on(row("list-looks", get, "/people/{id}/looks", staff.LedgerView, "Who looked at a person's record"), f.listLooks),
		on(row("export-ledger", get, "/ledger/export", staff.LedgerExport, "The tree as a tar archive that verifies offline"), f.exportLedger),
		on(row("reopen-ledger", post, "/ledger/reopen", staff.LedgerReopen, "Admit a restore, and go on"), f.reopenLedger),

		on(row("list-keys", get, "/keys", staff.KeysView, "The epochs of the key ring"), f.listKeys),
		on(row("rotate-keys", post, "/keys/rotate", staff.KeysRotate, "Begin a new epoch and bring every key under it"), f.rotateKeys),
		on(row("create-escrow", post, "/keys/escrow", staff.KeysRotate, "Write a recovery copy of the ring that only the named officers can open"), f.createEscrow),
		on(row("create-shredding", post, "/shreddings", staff.KeysShred, "Destroy a person's, a month's or an organisation's keys, with a certificate"), f.createShredding),
		on(row("list-shreddings", get, "/shreddings", staff.KeysView, "The certificates of destruction"), f.listShreddings),
		on(row("get-shredding", get, "/shreddings/{id}", staff.KeysView, "One certificate of destruction, as it was signed"), f.getShredding),
		on(row("create-backup", post, "/backups", staff.BackupsRun, "Write a verified backup to a file on this machine"), f.createBackup),
		on(row("doctor", get, "/doctor", staff.HealthView, "What is not as it should be"), f.doctor),
	}
}

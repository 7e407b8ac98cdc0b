package consent

// The kinds of rows of consent. The numbers are stored: append only.
const (
	kindConsent       = 1
	kindAuthorization = 2
	kindRestriction   = 3
	kindConfidential  = 4
	kindPlain         = 5
	kindPart2         = 6
	kindSuppression   = 7
	kindProposal      = 8
	kindPreferences   = 9
)

const (
	insertConsent = `INSERT INTO consent (organisation_id, person_id, id, kind, state, made_at, ended_at, record, cause) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)`

	selectConsents = `SELECT person_id, id, kind, state, made_at, ended_at, record, ending, cause FROM consent
WHERE organisation_id = ? AND person_id IN {{blobs}} AND state < 5 ORDER BY person_id, made_at, id`

	endConsent = `UPDATE consent SET state = ?, ended_at = ?, ending = ?, end_cause = ?
WHERE organisation_id = ? AND person_id = ? AND id = ? AND kind = ? AND state = ?`

	insertSuppression = `INSERT INTO suppression (organisation_id, address, id, state, made_at, ended_at, record, import_id) VALUES (?, ?, ?, 1, ?, 0, ?, ?)`

	selectSuppressions = `SELECT address, id, state, made_at, ended_at, record, ending, import_id FROM suppression
WHERE organisation_id = ? AND address IN {{blobs}} AND state = 1 ORDER BY address, id`

	endSuppression = `UPDATE suppression SET state = 2, ended_at = ?, ending = ?
WHERE organisation_id = ? AND address = ? AND id = ? AND state = 1`
)

// What a fact of a source caused, and its undoing. The state 5 is read by nobody: it never was.
const (
	withdrawConsents = `UPDATE consent SET state = 5, ended_at = ? WHERE organisation_id = ? AND cause = ? AND state < 5`

	reopenConsents = `UPDATE consent SET state = CASE WHEN kind = 8 THEN 3 ELSE 1 END, ended_at = 0, ending = NULL, end_cause = NULL
WHERE organisation_id = ? AND end_cause = ? AND state IN (2, 4)`

	handOnConsents = `UPDATE consent SET cause = ? WHERE organisation_id = ? AND cause = ? AND state < 5`

	selectImportedSuppressions = `SELECT address, id, state, made_at, ended_at, record FROM suppression
WHERE organisation_id = ? AND import_id = ? AND state < 5 ORDER BY id LIMIT ?`

	withdrawSuppression = `UPDATE suppression SET state = 5, ended_at = ? WHERE organisation_id = ? AND address = ? AND id = ?`
)

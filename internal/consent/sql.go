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
	insertConsent = `INSERT INTO consent (organisation_id, person_id, id, kind, state, made_at, ended_at, record) VALUES (?, ?, ?, ?, ?, ?, 0, ?)`

	selectConsents = `SELECT person_id, id, kind, state, made_at, ended_at, record, ending FROM consent
WHERE organisation_id = ? AND person_id IN {{blobs}} ORDER BY person_id, made_at, id`

	endConsent = `UPDATE consent SET state = ?, ended_at = ?, ending = ?
WHERE organisation_id = ? AND person_id = ? AND id = ? AND kind = ? AND state = ?`

	insertSuppression = `INSERT INTO suppression (organisation_id, address, id, state, made_at, ended_at, record) VALUES (?, ?, ?, 1, ?, 0, ?)`

	selectSuppressions = `SELECT address, id, state, made_at, ended_at, record, ending FROM suppression
WHERE organisation_id = ? AND address IN {{blobs}} AND state = 1 ORDER BY address, id`

	endSuppression = `UPDATE suppression SET state = 2, ended_at = ?, ending = ?
WHERE organisation_id = ? AND address = ? AND id = ? AND state = 1`
)

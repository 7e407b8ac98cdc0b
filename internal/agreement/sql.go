package agreement

const (
	insertAgreement = `INSERT INTO agreement (organisation_id, id, state, version, made_at, changed_at, record) VALUES (?, ?, 1, 1, ?, ?, ?)`

	updateAgreement = `UPDATE agreement SET state = ?, version = version + 1, changed_at = ?, record = ?
WHERE organisation_id = ? AND id = ? AND version = ?`

	selectAgreements = `SELECT id, state, version, made_at, changed_at, record FROM agreement WHERE organisation_id = ? ORDER BY id`

	newestAgreement = `SELECT count(*), COALESCE(max(changed_at), 0), COALESCE(sum(version), 0) FROM agreement WHERE organisation_id = ?`
)

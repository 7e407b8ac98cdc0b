package compose

const (
	insertTemplate  = `INSERT INTO template (organisation_id, id, state, latest, record, made_at, changed_at) VALUES (?, ?, 1, 0, ?, ?, ?)`
	nextVersion     = `UPDATE template SET latest = latest + 1, changed_at = ? WHERE organisation_id = ? AND id = ? AND state = 1 RETURNING latest`
	withdraw        = `UPDATE template SET state = 2, changed_at = ? WHERE organisation_id = ? AND id = ? AND state = 1`
	selectLatest    = `SELECT latest FROM template WHERE organisation_id = ? AND id = ?`
	selectState     = `SELECT state FROM template WHERE organisation_id = ? AND id = ?`
	selectTemplates = `SELECT id, state, latest, record, made_at FROM template WHERE organisation_id = ? ORDER BY id`
	insertVersion   = `INSERT INTO template_version (organisation_id, template_id, number, purpose, class, content, made_at) VALUES (?, ?, ?, ?, ?, ?, ?)`
	selectVersion   = `SELECT purpose, class, content FROM template_version WHERE organisation_id = ? AND template_id = ? AND number = ?`
)

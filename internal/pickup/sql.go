package pickup

const (
	insertPickup = `INSERT INTO pickup (organisation_id, id, message_id, person_id, state, purpose, content, made_at, due_at, tell_at, remind, reminded, opened_at, seen_at, opens)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0)`
	selectByMessage = `SELECT id FROM pickup WHERE organisation_id = ? AND message_id = ?`
	selectStatus    = `SELECT message_id, person_id, state, purpose, made_at, opened_at, seen_at, opens FROM pickup WHERE organisation_id = ? AND id = ?`
	selectContent   = `SELECT content FROM pickup WHERE organisation_id = ? AND id = ?`
	markOpened      = `UPDATE pickup SET state = ?, opened_at = CASE WHEN opened_at = 0 THEN ? ELSE opened_at END, seen_at = ?, opens = opens + 1, due_at = 0
WHERE organisation_id = ? AND id = ?`
	withdrawPickup = `UPDATE pickup SET state = ?, content = NULL, due_at = 0 WHERE organisation_id = ? AND id = ? AND state IN (?, ?)`
	selectDue      = `SELECT organisation_id, id FROM pickup WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?`
	selectPlan     = `SELECT made_at, due_at, tell_at, remind, reminded FROM pickup WHERE organisation_id = ? AND id = ? AND state = ?`
	updatePlan     = `UPDATE pickup SET state = ?, due_at = ?, reminded = ? WHERE organisation_id = ? AND id = ? AND state = ? AND due_at = ?`
)

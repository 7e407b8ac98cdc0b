package send

const (
	insertSend = `INSERT INTO send (organisation_id, id, purpose, mail_class, bulk, name, request, made_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (organisation_id, id) DO NOTHING`
	selectSend  = `SELECT name, request, made_at FROM send WHERE organisation_id = ? AND id = ?`
	selectSends = `SELECT id FROM send WHERE organisation_id = ? AND id < ? ORDER BY id DESC LIMIT ?`

	insertMessage = `INSERT INTO message (organisation_id, id, send_id, person_id, state, means, decisions, attempts, deferred, made_at, decided_at, done_at, vars)
VALUES (?, ?, ?, ?, ?, '', 0, 0, 0, ?, 0, 0, ?) ON CONFLICT (organisation_id, send_id, person_id) DO NOTHING`
	selectWritten = `SELECT person_id FROM message WHERE organisation_id = ? AND send_id = ? AND person_id IN {{blobs}}`
	selectStored  = `SELECT id FROM message WHERE organisation_id = ? AND id IN {{blobs}}`
	selectMessage = `SELECT send_id, person_id, state, means, attempts, deferred, made_at, decided_at, done_at FROM message
WHERE organisation_id = ? AND id = ?`
	selectInputs = `SELECT m.id, m.send_id, m.person_id, m.vars, m.means, m.decisions FROM message AS m
WHERE m.organisation_id = ? AND m.id IN {{blobs}}`
	selectMeans    = `SELECT id, means, decisions FROM message WHERE organisation_id = ? AND id IN {{blobs}}`
	selectMessages = `SELECT id, send_id, person_id, state, means FROM message WHERE organisation_id = ? AND (? = 0 OR state = ?) AND (? = 0 OR send_id = ?) AND (? = 0 OR person_id = ?) AND id < ?
ORDER BY id DESC LIMIT ?`
	decideMessage = `UPDATE message SET means = ?, decisions = ?, decided_at = ? WHERE organisation_id = ? AND id = ? AND decisions = ?`
	endMessage    = `UPDATE message SET state = ?, attempts = ?, done_at = ? WHERE organisation_id = ? AND id = ?`
	reopenMessage = `UPDATE message SET state = ?, means = '', done_at = 0 WHERE organisation_id = ? AND id = ? AND state = ?`
	deferMessage  = `UPDATE message SET attempts = ?, deferred = 1 WHERE organisation_id = ? AND id = ?`

	insertDecision = `INSERT INTO message_decision (organisation_id, message_id, number, means, decided_at, decision) VALUES (?, ?, ?, ?, ?, ?)`
	selectDecision = `SELECT number, decided_at, decision FROM message_decision WHERE organisation_id = ? AND message_id = ? ORDER BY number`

	countStates = `SELECT state, means, deferred, count(*) FROM message WHERE organisation_id = ? AND send_id = ? GROUP BY state, means, deferred`
	countBulk   = `SELECT m.person_id, count(*) FROM message AS m JOIN send AS s ON s.organisation_id = m.organisation_id AND s.id = m.send_id
WHERE m.organisation_id = ? AND m.person_id IN {{blobs}} AND m.done_at > ? AND m.state = 2 AND s.bulk = 1 GROUP BY m.person_id`
)

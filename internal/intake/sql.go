package intake

const (
	insertImport = `INSERT INTO import (organisation_id, id, state, version, cursor_file, cursor_offset, cursor_line, last_seq, done_turn, done_subject,
done_seq, started_at, changed_at, record) VALUES (?, ?, ?, 1, 0, 0, 0, 0, 0, ?, 0, ?, ?, ?)`

	updateImport = `UPDATE import SET state = ?, version = version + 1, cursor_file = ?, cursor_offset = ?, cursor_line = ?, last_seq = ?, done_turn = ?,
done_subject = ?, done_seq = ?, changed_at = ?, record = ? WHERE organisation_id = ? AND id = ? AND version = ?`

	selectImport = `SELECT state, version, cursor_file, cursor_offset, cursor_line, last_seq, done_turn, done_subject, done_seq, started_at, changed_at, record
FROM import WHERE organisation_id = ? AND id = ?`

	selectUnfinished = `SELECT id FROM import WHERE organisation_id = ? AND state IN (1, 2, 6, 7) ORDER BY id`

	selectImports = `SELECT id, state, version, cursor_file, cursor_offset, cursor_line, last_seq, done_turn, done_subject, done_seq, started_at, changed_at, record
FROM import WHERE organisation_id = ? ORDER BY id DESC LIMIT ?`
)

const (
	insertRaw = `INSERT INTO raw (organisation_id, import_id, seq, turn, subject, file, line, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

	insertRaws = `INSERT INTO raw (organisation_id, import_id, seq, turn, subject, file, line, record)
SELECT ?::bigint, ?::bytea, u.seq, u.turn, u.subject, ?::bigint, u.line, u.record
FROM unnest(?::bigint[], ?::bigint[], ?::bytea[], ?::bigint[], ?::bytea[]) AS u (seq, turn, subject, line, record)`

	// The next messages to apply, those of one person together. "turn > 0" names the partial index; the place begins at turn 2.
	selectRaws = `SELECT seq, turn, subject, file, line, record FROM raw
WHERE organisation_id = ? AND import_id = ? AND turn > 0 AND (turn, subject, seq) > (?, ?, ?) ORDER BY turn, subject, seq LIMIT ?`

	selectRaw = `SELECT turn, subject, file, line, record FROM raw WHERE organisation_id = ? AND import_id = ? AND seq = ?`

	// The newest message of a key, over all imports of the source: the blind holds the source.
	selectReferred = `SELECT import_id, seq, record FROM raw WHERE organisation_id = ? AND subject = ? AND turn = 1 ORDER BY import_id DESC, seq DESC LIMIT 1`

	countRaws = `SELECT count(*) FROM raw WHERE organisation_id = ? AND import_id = ? AND turn > 0 AND turn > 1`

	countSubjects = `SELECT count(DISTINCT subject) FROM raw WHERE organisation_id = ? AND import_id = ? AND turn > 0 AND turn = 2`

	turnRaw = `UPDATE raw SET turn = ?, subject = ?, record = ? WHERE organisation_id = ? AND import_id = ? AND seq = ?`
)

const (
	insertQuarantine = `INSERT INTO quarantine (organisation_id, import_id, seq, raw_seq, file, line, state, made_at, record)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

	selectQuarantine = `SELECT seq, raw_seq, file, line, state, made_at, record FROM quarantine
WHERE organisation_id = ? AND import_id = ? AND seq > ? AND state < 3 ORDER BY seq LIMIT ?`

	selectUnsplit = `SELECT q.seq, q.raw_seq FROM quarantine AS q WHERE q.organisation_id = ? AND q.import_id = ? AND q.state = 1 AND q.raw_seq > 0
ORDER BY q.seq LIMIT 10000`

	selectWaiting = `SELECT import_id, seq, raw_seq FROM quarantine WHERE organisation_id = ? AND state = 2 AND (import_id, seq) > (?, ?)
ORDER BY import_id, seq LIMIT ?`

	settleQuarantine = `UPDATE quarantine SET state = 3 WHERE organisation_id = ? AND import_id = ? AND seq = ?`

	settleMapped = `UPDATE quarantine SET state = 3 WHERE organisation_id = ? AND import_id = ? AND state < 3
AND raw_seq IN (SELECT seq FROM raw WHERE organisation_id = ? AND import_id = ? AND turn > 0)`
)

package people

// The kinds of person_number.
const (
	numberOrdinal = 1
	numberEvent   = 2
	numberSource  = 3
)

// The kinds of person_identifier.
const (
	kindSubject    = 1
	kindIdentifier = 2
	kindEmail      = 3
	kindPhone      = 4
)

// The states of rows.
const (
	personInUse  = 1
	personMerged = 2 // 3 is shredded: its row stays, empty

	factCurrent    = 1
	factSuperseded = 2 // 3 is withdrawn with its import: undo writes it

	eventStands   = 1 // 2 is taken back: endEvent writes it
	eventRetracts = 3
)

const (
	takeNumbers = `INSERT INTO person_number (organisation_id, kind, next) VALUES (?, ?, ?)
ON CONFLICT (organisation_id, kind) DO UPDATE SET next = person_number.next + excluded.next - 1 RETURNING next`

	selectSources = `SELECT id, record, seen_at FROM source WHERE organisation_id = ? ORDER BY id`

	selectSourceByName = `SELECT id FROM source WHERE organisation_id = ? AND name = ?`

	insertSource = `INSERT INTO source (organisation_id, id, name, record, seen_at) VALUES (?, ?, ?, ?, 0)
ON CONFLICT (organisation_id, name) DO NOTHING`

	selectSource = `SELECT record FROM source WHERE organisation_id = ? AND id = ?`

	updateSource = `UPDATE source SET record = ?, seen_at = ? WHERE organisation_id = ? AND id = ?`
)

const (
	selectPersons = `SELECT id, ordinal, state, merged_into, version, projected_to, wrapped_key, projection, core
FROM person WHERE organisation_id = ? AND id IN {{blobs}}`

	selectMergedInto = `SELECT id, ordinal, state, merged_into, version, projected_to, wrapped_key, projection, core
FROM person WHERE organisation_id = ? AND merged_into IN {{blobs}}`

	selectKeys = `SELECT id, wrapped_key FROM person WHERE organisation_id = ? AND id IN {{blobs}}`

	selectFamily = `SELECT id, merged_into FROM person WHERE organisation_id = ? AND id IN {{blobs}}`

	selectChildren = `SELECT id FROM person WHERE organisation_id = ? AND merged_into IN {{blobs}}`

	selectProjections = `SELECT id, ordinal, wrapped_key, projection FROM person WHERE organisation_id = ? AND id IN {{blobs}} AND state < 3`

	scanProjections = `SELECT id, ordinal, wrapped_key, projection FROM person
WHERE organisation_id = ? AND ordinal > ? AND state = 1 ORDER BY ordinal LIMIT ?`

	scanCores = `SELECT id, ordinal, wrapped_key, core FROM person
WHERE organisation_id = ? AND ordinal > ? AND state = 1 ORDER BY ordinal LIMIT ?`

	selectCores = `SELECT id, ordinal, wrapped_key, core FROM person WHERE organisation_id = ? AND id IN {{blobs}} AND state = 1`

	selectPeople = `SELECT id FROM person WHERE organisation_id = ? AND state = 1 AND ordinal > ? ORDER BY ordinal LIMIT ?`

	countPeople = `SELECT count(*) FROM person WHERE organisation_id = ? AND state = 1`

	insertPerson = `INSERT INTO person (organisation_id, id, ordinal, state, merged_into, version, projected_to, made_at, changed_at, wrapped_key, projection, core)
VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)`

	insertPersons = `INSERT INTO person (organisation_id, id, ordinal, state, projected_to, version, made_at, changed_at, wrapped_key, projection, core)
SELECT ?::bigint, u.id, u.ordinal, ?::bigint, 0, 1, ?::bigint, ?::bigint, u.wrapped_key, u.projection, u.core
FROM unnest(?::bytea[], ?::bigint[], ?::bytea[], ?::bytea[], ?::bytea[]) AS u (id, ordinal, wrapped_key, projection, core)`

	updatePerson = `UPDATE person SET state = ?, merged_into = ?, version = version + 1, projected_to = ?, changed_at = ?, projection = ?, core = ?
WHERE organisation_id = ? AND id = ? AND version = ?`

	updateProjection = `UPDATE person SET version = version + 1, projected_to = ?, changed_at = ?, projection = ?
WHERE organisation_id = ? AND id = ? AND version = ?`
)

const (
	selectByBlind = `SELECT kind, blind, person_id FROM person_identifier WHERE organisation_id = ? AND kind = ? AND blind IN {{blobs}}`

	// A source's key belongs to one person, and a resource has one current fact: what another transaction wrote first is seen by the count.
	insertIdentifier = `INSERT INTO person_identifier (organisation_id, kind, blind, person_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`

	insertIdentifiers = `INSERT INTO person_identifier (organisation_id, kind, blind, person_id)
SELECT ?::bigint, u.kind, u.blind, u.person_id FROM unnest(?::bigint[], ?::bytea[], ?::bytea[]) AS u (kind, blind, person_id)
ON CONFLICT DO NOTHING`

	deleteIdentifier = `DELETE FROM person_identifier WHERE organisation_id = ? AND kind = ? AND blind = ? AND person_id = ?`
)

const (
	selectFacts = `SELECT person_id, id, source_id, resource, import_id, record
FROM fact WHERE organisation_id = ? AND person_id IN {{blobs}} AND state = 1 ORDER BY person_id, id`

	selectFactOwners = `SELECT resource, person_id FROM fact WHERE organisation_id = ? AND source_id = ? AND state = 1 AND resource IN {{blobs}}`

	insertFact = `INSERT INTO fact (organisation_id, person_id, id, source_id, resource, state, import_id, made_at, ended_at, record)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

	insertFacts = `INSERT INTO fact (organisation_id, person_id, id, source_id, resource, state, import_id, made_at, ended_at, record)
SELECT ?::bigint, u.person_id, u.id, u.source_id, u.resource, u.state, u.import_id, ?::bigint, u.ended_at, u.record
FROM unnest(?::bytea[], ?::bytea[], ?::bigint[], ?::bytea[], ?::bigint[], ?::bytea[], ?::bigint[], ?::bytea[])
AS u (person_id, id, source_id, resource, state, import_id, ended_at, record) ON CONFLICT DO NOTHING`

	endFact = `UPDATE fact SET state = ?, ended_at = ?, ended_by = ? WHERE organisation_id = ? AND person_id = ? AND id = ? AND state = 1`
)

const (
	selectEvents = `SELECT person_id, seq, id, source_id, key, import_id, record
FROM event WHERE organisation_id = ? AND person_id IN {{blobs}} AND state = 1 ORDER BY person_id, seq`

	selectEventOwners = `SELECT key, person_id FROM event WHERE organisation_id = ? AND source_id = ? AND state = 1 AND key IN {{blobs}}`

	insertEvent = `INSERT INTO event (organisation_id, seq, person_id, id, source_id, key, state, import_id, made_at, record)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

	insertEvents = `INSERT INTO event (organisation_id, seq, person_id, id, source_id, key, state, import_id, made_at, record)
SELECT ?::bigint, u.seq, u.person_id, u.id, u.source_id, u.key, u.state, u.import_id, ?::bigint, u.record
FROM unnest(?::bigint[], ?::bytea[], ?::bytea[], ?::bigint[], ?::bytea[], ?::bigint[], ?::bytea[], ?::bytea[])
AS u (seq, person_id, id, source_id, key, state, import_id, record) ON CONFLICT DO NOTHING`

	endEvent = `UPDATE event SET state = 2 WHERE organisation_id = ? AND seq = ? AND state = 1`
)

// What an import wrote, and its undoing.
const (
	// Ids grow with time: who was made before the import has the smaller one.
	countImported = `SELECT count(DISTINCT CASE WHEN person_id < ? THEN person_id END), count(DISTINCT CASE WHEN person_id >= ? THEN person_id END)
FROM fact WHERE organisation_id = ? AND import_id = ?`

	selectImported = `SELECT person_id FROM fact WHERE organisation_id = ? AND import_id = ? AND state < 3 AND person_id > ?
UNION SELECT person_id FROM event WHERE organisation_id = ? AND import_id = ? AND state = 1 AND person_id > ?
ORDER BY person_id LIMIT ?`

	selectImportedRows = `SELECT person_id, id, source_id, resource, state, ended_at, ended_by, record FROM fact
WHERE organisation_id = ? AND person_id IN {{blobs}} AND import_id = ? AND state < 3 ORDER BY person_id, id`

	selectReplaced = `SELECT person_id, id, source_id, resource, import_id, record FROM fact
WHERE organisation_id = ? AND ended_by = ? AND import_id <> ? AND state = 2 AND resource IN {{blobs}}`

	withdrawFact = `UPDATE fact SET state = 3, ended_at = ?, ended_by = NULL WHERE organisation_id = ? AND person_id = ? AND id = ? AND state < 3`

	restoreFact = `UPDATE fact SET state = 1, ended_at = 0, ended_by = NULL WHERE organisation_id = ? AND person_id = ? AND id = ? AND state = 2`

	insertSaid = `INSERT INTO fact_said (organisation_id, import_id, row_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`

	selectSaid = `SELECT row_id, import_id FROM fact_said WHERE organisation_id = ? AND row_id IN {{blobs}} AND import_id <> ? ORDER BY row_id, import_id DESC`

	deleteSaid = `DELETE FROM fact_said WHERE organisation_id = ? AND import_id = ? AND row_id = ?`

	forgetSaid = `DELETE FROM fact_said WHERE organisation_id = ? AND import_id = ? AND row_id IN (
SELECT row_id FROM fact_said WHERE organisation_id = ? AND import_id = ? ORDER BY row_id LIMIT ?)`

	ownFact = `UPDATE fact SET import_id = ? WHERE organisation_id = ? AND person_id = ? AND id = ?`

	ownEvent = `UPDATE event SET import_id = ? WHERE organisation_id = ? AND seq = ?`

	handOnFact = `UPDATE fact SET ended_by = ?, ended_at = ? WHERE organisation_id = ? AND person_id = ? AND id = ? AND state = 2`
)

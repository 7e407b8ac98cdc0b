package ledger

// Appending. On SQLite there is one writer, so an entry takes its number where it is written; a closure that is rolled back gives
// its numbers back. It is never below the head's size, should somebody have deleted the last rows. On PostgreSQL it waits without
// a number for the sequencer.
const (
	insertEntry = `INSERT INTO ledger_entry (organisation_id, seq, leaf, detail)
VALUES (?1, max((SELECT coalesce(max(seq) + 1, 0) FROM ledger_entry WHERE organisation_id = ?1),
  (SELECT coalesce(max(size), 0) FROM ledger_head WHERE organisation_id = ?1)), ?2, ?3)`

	insertChange = `INSERT INTO change (organisation_id, seq, person_id)
VALUES (?, (SELECT coalesce(max(seq) + 1, 1) FROM change WHERE organisation_id = ?), ?)`

	insertPending = `INSERT INTO ledger_pending (organisation_id, id, leaf, detail) VALUES (?, ?, ?, ?)`

	insertPendings = `INSERT INTO ledger_pending (organisation_id, id, leaf, detail)
SELECT ?::bigint, u.id, u.leaf, u.detail FROM unnest(?::bytea[], ?::bytea[], ?::bytea[]) AS u (id, leaf, detail)`

	insertChangePendings = `INSERT INTO change_pending (organisation_id, id, person_id)
SELECT ?::bigint, u.id, u.person_id FROM unnest(?::bytea[], ?::bytea[]) AS u (id, person_id)`
)

// Sequencing.
const (
	selectHead = `SELECT epoch, size, root, frontier, signed_size, signed_at, signed FROM ledger_head WHERE organisation_id = ?`

	lockHead = `SELECT epoch, size, root, frontier, signed_size, signed_at, signed FROM ledger_head WHERE organisation_id = ? FOR UPDATE`

	selectHeads = `SELECT organisation_id FROM ledger_head ORDER BY organisation_id`

	selectUnsigned = `SELECT organisation_id FROM ledger_head WHERE signed_size < size ORDER BY organisation_id`

	insertHead = `INSERT INTO ledger_head (organisation_id, epoch, size, root, frontier, signed_size, signed_at, signed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

	updateHead = `UPDATE ledger_head SET epoch = ?, size = ?, root = ?, frontier = ?, signed_size = ?, signed_at = ?, signed = ?
WHERE organisation_id = ? AND size = ? AND epoch = ?`

	insertEntryAt = `INSERT INTO ledger_entry (organisation_id, seq, leaf, detail) VALUES (?, ?, ?, ?)`

	// What other nodes signed (PostgreSQL), and at the start what the database holds.
	selectSigned = `SELECT organisation_id, signed FROM ledger_head WHERE signed_at >= ? ORDER BY organisation_id`

	selectKept = `SELECT signed FROM ledger_checkpoint WHERE organisation_id = ? ORDER BY epoch DESC, size DESC LIMIT ?`

	insertCheckpoint = `INSERT INTO ledger_checkpoint (organisation_id, epoch, size, signed_at, signed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (organisation_id, epoch, size) DO NOTHING`

	upsertTile = `INSERT INTO ledger_tile (organisation_id, level, place, hashes) VALUES (?, ?, ?, ?)
ON CONFLICT (organisation_id, level, place) DO UPDATE SET hashes = excluded.hashes`

	selectTile = `SELECT hashes FROM ledger_tile WHERE organisation_id = ? AND level = ? AND place = ?`

	// SQLite: what the group's closures appended.
	selectNew = `SELECT seq, leaf FROM ledger_entry WHERE organisation_id = ? AND seq >= ? ORDER BY seq`

	// PostgreSQL: what is visible is taken, never "all above the last number": numbers given before a commit become visible out of order.
	waitSequencer = `SELECT pg_advisory_xact_lock(4713870915172690290)`

	lockSequencer = `SELECT pg_try_advisory_xact_lock(4713870915172690290)`

	selectWaiting = `SELECT organisation_id FROM ledger_pending UNION SELECT organisation_id FROM change_pending ORDER BY 1`

	movePending = `WITH moved AS (
  DELETE FROM ledger_pending WHERE organisation_id = ?::bigint
  AND id IN (SELECT id FROM ledger_pending WHERE organisation_id = ?::bigint ORDER BY id LIMIT ?::bigint)
  RETURNING id, leaf, detail)
INSERT INTO ledger_entry (organisation_id, seq, leaf, detail)
SELECT ?::bigint, ?::bigint + row_number() OVER (ORDER BY id) - 1, leaf, detail FROM moved
RETURNING seq, leaf`

	moveChanges = `WITH moved AS (
  DELETE FROM change_pending WHERE organisation_id = ?::bigint
  AND id IN (SELECT id FROM change_pending WHERE organisation_id = ?::bigint ORDER BY id LIMIT ?::bigint)
  RETURNING id, person_id),
once AS (SELECT DISTINCT ON (person_id) person_id, id FROM moved ORDER BY person_id, id)
INSERT INTO change (organisation_id, seq, person_id)
SELECT ?::bigint, (SELECT coalesce(max(seq), 0) FROM change WHERE organisation_id = ?::bigint) + row_number() OVER (ORDER BY id), person_id
FROM once`

	selectNewestWaiting = `SELECT id FROM (
  (SELECT id FROM ledger_pending WHERE organisation_id = ?::bigint ORDER BY id DESC LIMIT 1)
  UNION ALL (SELECT id FROM change_pending WHERE organisation_id = ?::bigint ORDER BY id DESC LIMIT 1)) AS w ORDER BY id DESC LIMIT 1`

	selectStillWaiting = `SELECT EXISTS (SELECT 1 FROM ledger_pending WHERE organisation_id = ?::bigint AND id <= ?::bytea)
OR EXISTS (SELECT 1 FROM change_pending WHERE organisation_id = ?::bigint AND id <= ?::bytea)`
)

// Witnesses.
const (
	selectCosigned = `SELECT size, cosigned_at FROM ledger_cosign
WHERE organisation_id = ? AND epoch = ? AND witness = ? ORDER BY size DESC LIMIT 1`

	selectCosignatures = `SELECT line FROM ledger_cosign WHERE organisation_id = ? AND epoch = ? AND size = ? ORDER BY witness`

	upsertCosignature = `INSERT INTO ledger_cosign (organisation_id, epoch, size, witness, line, cosigned_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (organisation_id, epoch, size, witness) DO UPDATE SET line = excluded.line, cosigned_at = excluded.cosigned_at`

	// Of each day the last one of a witness stays.
	deleteCosignatures = `DELETE FROM ledger_cosign
WHERE organisation_id = ? AND epoch = ? AND witness = ? AND size < ? AND cosigned_at >= ?`
)

// Asking.
const (
	selectChanges = `SELECT seq, person_id FROM change WHERE organisation_id = ? AND seq > ? ORDER BY seq LIMIT ?`

	selectLastChange = `SELECT coalesce(max(seq), 0) FROM change WHERE organisation_id = ?`

	deleteChanges = `DELETE FROM change WHERE organisation_id = ? AND seq <= ?
AND seq < (SELECT max(seq) FROM change WHERE organisation_id = ?)`

	selectEntry = `SELECT seq, leaf, detail FROM ledger_entry WHERE organisation_id = ? AND seq = ?`

	selectEntriesDown = `SELECT seq, leaf, detail FROM ledger_entry WHERE organisation_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?`

	selectSubjectDown = `SELECT seq, leaf, detail FROM ledger_entry
WHERE organisation_id = ? AND substr(leaf, 34, 16) = ? AND seq < ? ORDER BY seq DESC LIMIT ?`

	selectObjectDown = `SELECT seq, leaf, detail FROM ledger_entry
WHERE organisation_id = ? AND substr(leaf, 50, 16) = ? AND seq < ? ORDER BY seq DESC LIMIT ?`

	// The index holds the act as well: what a person's many other entries say is not read.
	selectSubjectActsDown = `SELECT seq, leaf, detail FROM ledger_entry
WHERE organisation_id = ? AND substr(leaf, 34, 16) = ? AND seq < ? AND substr(leaf, 31, 2) IN (?, ?, ?, ?) ORDER BY seq DESC LIMIT ?`

	// SQLite has to be told: its planner would rather read the whole tree downwards by the primary key.
	selectSubjectDownSQLite = `SELECT seq, leaf, detail FROM ledger_entry INDEXED BY ledger_subject
WHERE organisation_id = ? AND substr(leaf, 34, 16) = ? AND seq < ? ORDER BY seq DESC LIMIT ?`

	selectSubjectActsDownSQLite = `SELECT seq, leaf, detail FROM ledger_entry INDEXED BY ledger_subject
WHERE organisation_id = ? AND substr(leaf, 34, 16) = ? AND seq < ? AND substr(leaf, 31, 2) IN (?, ?, ?, ?) ORDER BY seq DESC LIMIT ?`

	selectObjectDownSQLite = `SELECT seq, leaf, detail FROM ledger_entry INDEXED BY ledger_object
WHERE organisation_id = ? AND substr(leaf, 50, 16) = ? AND seq < ? ORDER BY seq DESC LIMIT ?`

	selectLeaves = `SELECT seq, leaf, detail FROM ledger_entry WHERE organisation_id = ? AND seq >= ? AND seq < ? ORDER BY seq`
)

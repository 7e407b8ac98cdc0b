package delivery

// The tables delivery, delivery_holder and delivery_restore. Claims, take-overs and the search for lanes run in the installation's scope and return rows with their organisation.
const (
	sqlEnqueue = `
INSERT INTO delivery (organisation_id, message_id, person_id, purpose, kind, priority, source, size, state, ending, reason, lane,
	submitted_at, due_at, expires_at, done_at, attempt, doubt, attempts_before, doubts_before, lease, holder, intent_at, failure, class, code, enhanced, proof, tls, domain)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, '', '', 0, '', '', '', ?)`

	// Rows of one priority that have no lane yet, those due first.
	sqlRouting = `
SELECT organisation_id, message_id, person_id, purpose, kind, priority, source, due_at, expires_at, attempt, doubt, domain FROM delivery
WHERE state = 0 AND priority = ? AND due_at <= ? ORDER BY due_at, organisation_id, message_id LIMIT ?`

	sqlRoute = `UPDATE delivery SET state = 1, lane = ? WHERE organisation_id = ? AND state = 0 AND message_id IN {{blobs}}`

	sqlRouteLater = `UPDATE delivery SET due_at = ? WHERE organisation_id = ? AND state = 0 AND message_id IN {{blobs}}`

	// The stream (lane, priority, organisation) behind another that has rows, with its earliest due time: one jump in the index
	// delivery_ready, so that a stream of a million rows costs no more than one of one row.
	sqlStreamAfter = `
SELECT lane, priority, organisation_id, due_at FROM delivery
WHERE state = 1 AND (lane, priority, organisation_id) > (?, ?, ?)
ORDER BY lane, priority, organisation_id, due_at LIMIT 1`

	// Codes that are due: few, and looked for more often than other streams.
	sqlUrgent = `
SELECT lane, priority, organisation_id, due_at FROM delivery WHERE state = 1 AND priority = 1 AND due_at <= ? ORDER BY due_at LIMIT 1000`

	sqlNextDue = `
SELECT coalesce(min(due_at), 0) FROM delivery WHERE state = 1 AND lane = ? AND priority = ? AND organisation_id = ? AND expires_at > ?`

	// MATERIALIZED, since PostgreSQL may otherwise run the inner query again for each row, and lock more than its limit.
	sqlClaim = `
WITH picked AS MATERIALIZED (
	SELECT message_id FROM delivery
	WHERE state = 1 AND lane = ? AND priority = ? AND organisation_id = ? AND due_at <= ? AND expires_at > ?
	ORDER BY due_at LIMIT ? {{skip_locked}})
UPDATE delivery SET state = 2, lease = ?, holder = ?, intent_at = 0
WHERE organisation_id = ? AND state = 1 AND message_id IN (SELECT message_id FROM picked)
RETURNING message_id, person_id, purpose, kind, source, size, submitted_at, due_at, expires_at, attempt, doubt, doubts_before, failure, reason, domain, frozen`

	sqlIntent = `
UPDATE delivery SET intent_at = ?, frozen = coalesce(?, frozen) WHERE organisation_id = ? AND message_id = ? AND state = 2 AND lease = ?`

	sqlIntended = `SELECT intent_at FROM delivery WHERE organisation_id = ? AND message_id = ? AND state = 2 AND lease = ?`

	sqlDone = `
UPDATE delivery SET state = 3, ending = ?, reason = ?, done_at = ?, attempt = ?, doubt = ?, lease = 0, holder = 0, intent_at = 0,
	failure = '', class = ?, code = ?, enhanced = ?, proof = ?, tls = ?, reply = ?
WHERE organisation_id = ? AND message_id = ? AND state = 2 AND lease = ?`

	sqlAgain = `
UPDATE delivery SET state = 1, reason = ?, due_at = ?, attempt = ?, doubt = ?, lease = 0, holder = 0, intent_at = 0,
	failure = ?, class = ?, code = ?, enhanced = ?, reply = ?
WHERE organisation_id = ? AND message_id = ? AND state = 2 AND lease = ?`

	// Back as they were: nothing was tried.
	sqlRelease = `
UPDATE delivery SET state = 1, due_at = ?, lease = 0, holder = 0, intent_at = 0
WHERE organisation_id = ? AND state = 2 AND lease = ? AND message_id IN {{blobs}}`

	sqlBackToRouting = `
UPDATE delivery SET state = 0, due_at = ?, lease = 0, holder = 0, intent_at = 0
WHERE organisation_id = ? AND state = 2 AND lease = ? AND message_id IN {{blobs}}`

	// Rows of engines that live no more. Our own are ours, however late we are with saying so.
	sqlStale = `
SELECT organisation_id, message_id, person_id, purpose, kind, priority, lane, expires_at, attempt, doubt, lease, intent_at, failure, reason FROM delivery
WHERE state = 2 AND holder <> ? AND holder NOT IN (SELECT holder FROM delivery_holder WHERE organisation_id = ? AND until_at >= ?) LIMIT ?`

	// Rows that this engine holds: by lease, and those of one lease.
	sqlOwnLeases = `SELECT DISTINCT lease FROM delivery WHERE state = 2 AND holder = ?`

	sqlOwnLease = `
SELECT organisation_id, message_id, person_id, purpose, kind, priority, lane, expires_at, attempt, doubt, lease, intent_at, failure, reason FROM delivery
WHERE state = 2 AND holder = ? AND lease = ?`

	sqlHold = `
INSERT INTO delivery_holder (organisation_id, holder, until_at) VALUES (?, ?, ?)
ON CONFLICT (organisation_id, holder) DO UPDATE SET until_at = excluded.until_at`

	sqlLetGo = `DELETE FROM delivery_holder WHERE organisation_id = ? AND holder = ?`

	sqlForgetHolders = `DELETE FROM delivery_holder WHERE organisation_id = ? AND until_at < ?`

	// Rows that waited too long.
	sqlOverdue = `
SELECT organisation_id, message_id, person_id, purpose, kind, priority, lane, expires_at, attempt, doubt, lease, intent_at, failure, reason FROM delivery
WHERE state < 2 AND expires_at <= ? ORDER BY expires_at LIMIT ?`

	// Takes a waiting row, so that it can be ended like a claimed one.
	sqlTake = `
UPDATE delivery SET state = 2, lease = ?, holder = ?, intent_at = 0 WHERE organisation_id = ? AND message_id = ? AND state < 2`

	sqlCancel = `
UPDATE delivery SET state = 3, ending = ?, reason = ?, done_at = ?, failure = '' WHERE organisation_id = ? AND message_id = ? AND state < 2`

	sqlReopen = `
UPDATE delivery SET domain = ?, state = 0, ending = 0, reason = '', due_at = ?, expires_at = ?, done_at = 0, failure = '',
	attempts_before = attempts_before + attempt, doubts_before = doubts_before + doubt, attempt = 0, doubt = 0, class = '', code = 0, enhanced = ''
WHERE organisation_id = ? AND message_id = ? AND state = 3 AND ending = ?`

	sqlStatus = `
SELECT state, ending, reason, kind, submitted_at, due_at, expires_at, done_at, attempt + attempts_before, doubt + doubts_before, intent_at, failure, class, code, enhanced, proof, tls, reply
FROM delivery WHERE organisation_id = ? AND message_id = ?`

	sqlCounts = `SELECT state, ending, count(*), sum(doubt + doubts_before) FROM delivery WHERE organisation_id = ? GROUP BY state, ending`

	// After a restore from a backup every row that was open then may have been sent since: all are in doubt.
	sqlDoubtAll = `UPDATE delivery SET state = 2, lease = 0, holder = 0, intent_at = 1 WHERE organisation_id = ? AND state < 3 AND submitted_at <= ?`

	sqlOpenSince = `SELECT organisation_id, min(submitted_at) FROM delivery WHERE state < 3 GROUP BY organisation_id`

	sqlRestore = `SELECT known FROM delivery_restore WHERE organisation_id = ?`

	sqlSetRestore = `
INSERT INTO delivery_restore (organisation_id, known) VALUES (?, ?) ON CONFLICT (organisation_id) DO UPDATE SET known = excluded.known`
)

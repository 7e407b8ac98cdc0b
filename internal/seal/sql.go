package seal

const (
	selectRing = `
SELECT ring, epoch, proof FROM seal_ring WHERE organisation_id = 0`

	insertRing = `
INSERT INTO seal_ring (organisation_id, ring, epoch, proof, changed_at) VALUES (0, ?, ?, ?, ?)
ON CONFLICT DO NOTHING`

	// An epoch never goes back: of two nodes that rotate, the later stands.
	updateRing = `
UPDATE seal_ring SET epoch = ?, proof = ?, changed_at = ? WHERE organisation_id = 0 AND ring = ? AND epoch < ?`

	countKeys = `
SELECT count(*) FROM seal_key`

	selectKey = `
SELECT organisation_id, id, purpose, period, number, wrapped, epoch, state, used, gone_at FROM seal_key
WHERE organisation_id = ? AND id = ?`

	selectActive = `
SELECT organisation_id, id, purpose, period, number, wrapped, epoch, state, used, gone_at FROM seal_key
WHERE organisation_id = ? AND purpose = ? AND period = ? AND state = 'active'
ORDER BY number DESC LIMIT 1`

	selectNumber = `
SELECT coalesce(max(number), 0) FROM seal_key WHERE organisation_id = ? AND purpose = ? AND period = ?`

	selectPurpose = `
SELECT organisation_id, id, purpose, period, number, wrapped, epoch, state, used, gone_at FROM seal_key
WHERE organisation_id = ? AND purpose = ? AND state <> 'destroyed'
ORDER BY period DESC, number DESC`

	selectWrapped = `
SELECT organisation_id, id, purpose, period, number, wrapped, epoch, state, used, gone_at FROM seal_key
WHERE state <> 'destroyed' AND epoch < ?
ORDER BY organisation_id, id`

	// Without a target the clause covers all three: the same period from another node, and an id drawn twice.
	insertKey = `
INSERT INTO seal_key (organisation_id, id, purpose, period, number, wrapped, epoch, state, used, made_at, retired_at, gone_at)
VALUES (?, ?, ?, ?, ?, ?, ?, 'active', 0, ?, 0, 0)
ON CONFLICT DO NOTHING`

	updateWrapped = `
UPDATE seal_key SET wrapped = ?, epoch = ? WHERE organisation_id = ? AND id = ? AND state <> 'destroyed'`

	updateUsed = `
UPDATE seal_key SET used = used + ? WHERE organisation_id = ? AND id = ? RETURNING used`

	retireKey = `
UPDATE seal_key SET state = 'retired', retired_at = ? WHERE organisation_id = ? AND id = ? AND state = 'active'`

	destroyKey = `
UPDATE seal_key SET state = 'destroyed', wrapped = NULL, gone_at = ? WHERE organisation_id = ? AND id = ? AND state <> 'destroyed'`

	selectLowestEpoch = `
SELECT coalesce(min(epoch), 0) FROM seal_key WHERE state <> 'destroyed'`
)

package organisation

const (
	nextNumber = `INSERT INTO organisation_number (organisation_id, last) VALUES (?, 1)
ON CONFLICT (organisation_id) DO UPDATE SET last = organisation_number.last + 1 RETURNING last`
	insertOrganisation = `INSERT INTO organisation (organisation_id, host, state, version, record, made_at, changed_at)
VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT (host) DO NOTHING`
	selectOrganisation = `SELECT host, state, version, made_at FROM organisation WHERE organisation_id = ?`
	selectProfile      = `SELECT record FROM organisation WHERE organisation_id = ?`
	updateProfile      = `UPDATE organisation SET record = ?, version = version + 1, changed_at = ? WHERE organisation_id = ? AND version = ?`
	selectAll          = `SELECT organisation_id, host, state FROM organisation ORDER BY organisation_id`

	insertPolicy  = `INSERT INTO protection_policy (organisation_id, version, record, made_at) VALUES (?, ?, ?, ?)`
	newestPolicy  = `SELECT COALESCE(MAX(version), 0) FROM protection_policy WHERE organisation_id = ?`
	selectPolicy  = `SELECT record FROM protection_policy WHERE organisation_id = ? AND version = ?`
	insertPlace   = `INSERT INTO location (organisation_id, id, state, record, changed_at) VALUES (?, ?, ?, ?, ?)`
	selectPlaces  = `SELECT id, state, record FROM location WHERE organisation_id = ? ORDER BY id`
	insertSender  = `INSERT INTO sender_identity (organisation_id, id, domain_id, class, state, record, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?)`
	selectSender  = `SELECT id, domain_id, class, state, record FROM sender_identity WHERE organisation_id = ? AND id = ?`
	selectSenders = `SELECT id, domain_id, class, state, record FROM sender_identity WHERE organisation_id = ? ORDER BY id`
	closeSender   = `UPDATE sender_identity SET state = ?, changed_at = ? WHERE organisation_id = ? AND id = ? AND state = ?`

	insertDomain  = `INSERT INTO domain (organisation_id, id, name, state, record, made_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (organisation_id, name) DO NOTHING`
	selectDomain  = `SELECT id, state, record, made_at FROM domain WHERE organisation_id = ? AND name = ?`
	selectDomains = `SELECT id, state, record, made_at FROM domain WHERE organisation_id = ? ORDER BY id`

	insertKey = `INSERT INTO dkim_key (organisation_id, domain_id, selector, algorithm, state, public, private, made_at, active_at, rotate_at, ended_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectKeys = `SELECT selector, algorithm, state, public, made_at, active_at, rotate_at, ended_at FROM dkim_key
WHERE organisation_id = ? AND domain_id = ? ORDER BY made_at, selector`
	selectPrivate = `SELECT private FROM dkim_key WHERE organisation_id = ? AND domain_id = ? AND selector = ?`
	activateKeys  = `UPDATE dkim_key SET state = 2, active_at = ?, rotate_at = ? WHERE organisation_id = ? AND domain_id = ? AND state = 1`
	retireKeys    = `UPDATE dkim_key SET state = 3, ended_at = ? WHERE organisation_id = ? AND domain_id = ? AND state = 2`
	destroyKeys   = `UPDATE dkim_key SET state = 4, private = NULL WHERE organisation_id = ? AND domain_id = ? AND state = 3 AND ended_at <= ?`
)

package tlspolicy

// The tables route and mtasts_policy; the latter holds organisation 0 only.
const (
	sqlSetRoute = `
INSERT INTO route (organisation_id, id, domain, agreement_id, sealed, changed_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (organisation_id, domain) DO UPDATE SET id = excluded.id, agreement_id = excluded.agreement_id, sealed = excluded.sealed, changed_at = excluded.changed_at`

	sqlRemoveRoute = `DELETE FROM route WHERE organisation_id = ? AND id = ?`

	sqlRoutes = `SELECT id, agreement_id, sealed FROM route WHERE organisation_id = ? ORDER BY id`

	sqlPolicy = `SELECT sealed, fetched_at, expires_at FROM mtasts_policy WHERE organisation_id = ? AND domain = ?`

	sqlSetPolicy = `
INSERT INTO mtasts_policy (organisation_id, domain, sealed, fetched_at, expires_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (organisation_id, domain) DO UPDATE SET sealed = excluded.sealed, fetched_at = excluded.fetched_at, expires_at = excluded.expires_at`

	sqlPrunePolicies = `DELETE FROM mtasts_policy WHERE organisation_id = ? AND expires_at < ?`
)

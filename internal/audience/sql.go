package audience

const (
	insertSegment = `INSERT INTO segment (organisation_id, id, name, state, version, made_at, changed_at) VALUES (?, ?, ?, 1, 1, ?, ?)
ON CONFLICT (organisation_id, name) DO NOTHING`
	updateSegment = `UPDATE segment SET name = ?, state = ?, version = version + 1, changed_at = ?
WHERE organisation_id = ? AND id = ? AND version = ?`
	nameTaken     = `SELECT COUNT(*) FROM segment WHERE organisation_id = ? AND name = ? AND id <> ?`
	insertVersion = `INSERT INTO segment_version (organisation_id, segment_id, version, record, made_at) VALUES (?, ?, ?, ?, ?)`

	selectSegment = `SELECT s.id, s.state, s.version, s.made_at, v.made_at, v.record FROM segment s
JOIN segment_version v ON v.organisation_id = s.organisation_id AND v.segment_id = s.id AND v.version = s.version
WHERE s.organisation_id = ? AND s.id = ?`
	selectSegmentNamed = `SELECT s.id, s.state, s.version, s.made_at, v.made_at, v.record FROM segment s
JOIN segment_version v ON v.organisation_id = s.organisation_id AND v.segment_id = s.id AND v.version = s.version
WHERE s.organisation_id = ? AND s.name = ?`
	selectSegmentVersion = `SELECT s.id, s.state, v.version, s.made_at, v.made_at, v.record FROM segment s
JOIN segment_version v ON v.organisation_id = s.organisation_id AND v.segment_id = s.id AND v.version = ?
WHERE s.organisation_id = ? AND s.id = ?`
	selectSegments = `SELECT s.id, s.state, s.version, s.made_at, v.made_at, v.record FROM segment s
JOIN segment_version v ON v.organisation_id = s.organisation_id AND v.segment_id = s.id AND v.version = s.version
WHERE s.organisation_id = ? ORDER BY s.id`

	newestSet  = `SELECT COALESCE(MAX(version), 0) FROM value_set WHERE organisation_id = ? AND name = ?`
	insertSet  = `INSERT INTO value_set (organisation_id, name, version, record, made_at) VALUES (?, ?, ?, ?, ?)`
	selectSet  = `SELECT version, record FROM value_set WHERE organisation_id = ? AND name = ? ORDER BY version DESC LIMIT 1`
	selectSets = `SELECT v.name, v.version, v.record FROM value_set v WHERE v.organisation_id = ?
AND v.version = (SELECT MAX(w.version) FROM value_set w WHERE w.organisation_id = v.organisation_id AND w.name = v.name) ORDER BY v.name`
)

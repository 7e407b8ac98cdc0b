package file

const (
	sqlAdd   = `insert into file (organisation_id, id, about, made_at, whole_at) values (?, ?, null, ?, 0)`
	sqlChunk = `insert into file_chunk (organisation_id, file_id, number, content)
		select ?, ?, ?, ? from file where organisation_id = ? and id = ? and whole_at = 0`
	sqlWhole   = `update file set about = ?, whole_at = ? where organisation_id = ? and id = ? and whole_at = 0`
	sqlAbout   = `select about, whole_at from file where organisation_id = ? and id = ? and whole_at > 0`
	sqlContent = `select content from file_chunk where organisation_id = ? and file_id = ? and number = ?`
	sqlDelete  = `delete from file where organisation_id = ? and id = ?`
	sqlAbandon = `delete from file where organisation_id = ? and id = ? and whole_at = 0`
	// Chunks go by the foreign key.
	sqlSweep = `delete from file where (organisation_id, id) in (
		select organisation_id, id from file where whole_at = 0 and made_at < ? order by made_at limit 100)`
)

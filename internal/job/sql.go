package job

const (
	sqlAdd = `insert into job (organisation_id, id, kind, arguments, state, due_at, attempt, made_at, code, problem)
		values (?, ?, ?, ?, 1, ?, 0, ?, '', '') on conflict do nothing`

	// A running row is due again when its lease ends: taking it over is claiming it.
	sqlClaim = `with due as materialized (
			select organisation_id, id from job where kind = ? and due_at <= ? and state <> 3 order by due_at limit ? {{skip_locked}}
		)
		update job set state = 2, lease = ?, due_at = ?, attempt = attempt + 1 from due
		where job.organisation_id = due.organisation_id and job.id = due.id
		returning job.organisation_id, job.id, job.attempt, job.arguments`

	sqlRenew = `update job set due_at = ? where organisation_id = ? and id = ? and lease = ? and state = 2`

	sqlDone = `delete from job where organisation_id = ? and id = ? and lease = ? and state = 2`

	sqlAgain = `update job set state = ?, due_at = ?, attempt = ?, lease = null, code = ?, problem = ?
		where organisation_id = ? and id = ? and lease = ? and state = 2`

	sqlList = `select id, kind, state, due_at, attempt, made_at, code, problem from job
		where organisation_id = ? and id > ? order by id limit ?`

	sqlRetry  = `update job set state = 1, due_at = ?, attempt = 0 where organisation_id = ? and id = ? and state = 3`
	sqlRemove = `delete from job where organisation_id = ? and id = ? and state = 3`
)

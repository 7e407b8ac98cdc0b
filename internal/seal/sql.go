package seal

const (
	selectRing = `
select ring, epoch, proof from seal_ring where organisation_id = 0`

	insertRing = `
insert into seal_ring (organisation_id, ring, epoch, proof, changed_at) values (0, ?, ?, ?, ?)
on conflict do nothing`

	// An epoch never goes back: of two nodes that rotate, the later stands.
	updateRing = `
update seal_ring set epoch = ?, proof = ?, changed_at = ? where organisation_id = 0 and ring = ? and epoch < ?`

	countKeys = `
select count(*) from seal_key`

	selectKey = `
select organisation_id, id, purpose, period, number, wrapped, epoch, state, used, gone_at from seal_key
where organisation_id = ? and id = ?`

	selectActive = `
select organisation_id, id, purpose, period, number, wrapped, epoch, state, used, gone_at from seal_key
where organisation_id = ? and purpose = ? and period = ? and state = 'active'
order by number desc limit 1`

	selectNumber = `
select coalesce(max(number), 0) from seal_key where organisation_id = ? and purpose = ? and period = ?`

	selectPurpose = `
select organisation_id, id, purpose, period, number, wrapped, epoch, state, used, gone_at from seal_key
where organisation_id = ? and purpose = ? and state <> 'destroyed'
order by period desc, number desc`

	selectWrapped = `
select organisation_id, id, purpose, period, number, wrapped, epoch, state, used, gone_at from seal_key
where state <> 'destroyed' and epoch < ?
order by organisation_id, id`

	// Without a target the clause covers all three: the same period from another node, and an id drawn twice.
	insertKey = `
insert into seal_key (organisation_id, id, purpose, period, number, wrapped, epoch, state, used, made_at, retired_at, gone_at)
values (?, ?, ?, ?, ?, ?, ?, 'active', 0, ?, 0, 0)
on conflict do nothing`

	updateWrapped = `
update seal_key set wrapped = ?, epoch = ? where organisation_id = ? and id = ? and state <> 'destroyed'`

	updateUsed = `
update seal_key set used = used + ? where organisation_id = ? and id = ? returning used`

	retireKey = `
update seal_key set state = 'retired', retired_at = ? where organisation_id = ? and id = ? and state = 'active'`

	destroyKey = `
update seal_key set state = 'destroyed', wrapped = null, gone_at = ? where organisation_id = ? and id = ? and state <> 'destroyed'`

	selectLowestEpoch = `
select coalesce(min(epoch), 0) from seal_key where state <> 'destroyed'`
)

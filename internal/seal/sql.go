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
where state <> 'destroyed' and epoch < ? and (organisation_id, id) > (?, ?)
order by organisation_id, id limit ?`

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

	// What is alive below the installation's newest epoch, its own mark among it.
	countOlder = `
select count(*) from seal_key where state <> 'destroyed' and epoch < ?`

	selectMarked = `
select epoch from seal_ring where organisation_id = 0`
)

// Bucket keys and what leaves them.
const (
	insertGuard = `
insert into seal_guard (organisation_id, generation) values (?, 1) on conflict do nothing`

	selectGuard = `
select generation from seal_guard where organisation_id = ?`

	// PostgreSQL only: it waits for whoever destroys a bucket key, and whoever does waits for it.
	shareGuard = `
select generation from seal_guard where organisation_id = ? for share`

	raiseGuard = `
update seal_guard set generation = generation + 1 where organisation_id = ?`

	leaveKey = `
update seal_key set state = 'leaving', retired_at = ? where organisation_id = ? and id = ? and state = 'active'`

	selectLeaving = `
select distinct organisation_id, period from seal_key where purpose = 'bucket' and state = 'leaving'`

	selectSlot = `
select organisation_id, id, purpose, period, number, wrapped, epoch, state, used, gone_at from seal_key
where organisation_id = ? and purpose = ? and period = ? and state <> 'destroyed'
order by number`

	selectOrganisationKeys = `
select organisation_id, id, purpose, period, number, wrapped, epoch, state, used, gone_at from seal_key
where organisation_id = ? and state <> 'destroyed'
order by id`

	destroyOrganisation = `
update seal_key set state = 'destroyed', wrapped = null, gone_at = ? where organisation_id = ? and state <> 'destroyed'`

	selectNewestMonth = `
select coalesce(max(period), 0) from seal_key
where organisation_id = ? and purpose in ('raw', 'message', 'file', 'ledger', 'setting', 'job') and state <> 'destroyed'`

	selectMonths = `
select distinct purpose, period from seal_key
where organisation_id = ? and purpose in ('raw', 'message', 'file') and state <> 'destroyed'
order by purpose, period`
)

// Orders to the nodes, and certificates.
const (
	insertOrder = `
insert into seal_order (organisation_id, id, what, number, made_at, done_at) values (?, ?, ?, ?, ?, 0)`

	selectOrders = `
select organisation_id, id, what, number, made_at from seal_order where done_at = 0 order by made_at, id limit 1000`

	// The highest number below which every node has dropped the epochs, once and for all.
	selectDropped = `
select coalesce(max(number), 0) from seal_order where organisation_id = 0 and what = 'epochs' and done_at <> 0`

	closeOrder = `
update seal_order set done_at = ? where organisation_id = ? and id = ? and done_at = 0`

	insertAck = `
insert into seal_ack (organisation_id, order_id, node, acked_at) values (?, ?, ?, ?) on conflict do nothing`

	selectAcks = `
select node from seal_ack where organisation_id = ? and order_id = ?`

	insertCertificate = `
insert into seal_certificate (organisation_id, id, made_at, signed) values (?, ?, ?, ?)`

	selectCertificate = `
select signed from seal_certificate where organisation_id = ? and id = ?`

	selectCertificates = `
select id, made_at from seal_certificate where organisation_id = ? order by id desc limit ?`
)

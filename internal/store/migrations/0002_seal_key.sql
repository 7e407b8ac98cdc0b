-- The ring that this database was made with, and the newest epoch in use. One row, of the installation.
create table seal_ring (
	organisation_id {{int}} not null,
	ring            {{blob}} not null, -- the ring's id, 16 bytes
	epoch           {{int}} not null, -- rows of seal_key are wrapped by this epoch, or by an older one that the ring still holds
	proof           {{blob}} not null, -- the ring's id sealed under that epoch: another key of the same number is found out
	changed_at      {{int}} not null,
	primary key (organisation_id)
){{strict}};

-- The keys below the epochs. A row stays for good: when its key is destroyed, wrapped is emptied and gone_at set.
create table seal_key (
	organisation_id {{int}} not null,
	id              {{int}} not null, -- as in the envelope: installation-wide, random, 1 to 2^31-1
	purpose         text not null, -- message, ledger, file, setting, raw, job; bucket, blind, token, address
	period          {{int}} not null, -- the month as yyyymm; the bucket, 0 to 255; else 0
	number          {{int}} not null, -- from 1; a further key for the same purpose and period
	wrapped         {{blob}}, -- envelope under the epoch
	epoch           {{int}} not null,
	state           text not null, -- active: seals and opens; retired: opens; destroyed
	used            {{int}} not null, -- seals, counted ahead in steps of 65,536
	made_at         {{int}} not null,
	retired_at      {{int}} not null, -- 0 while active
	gone_at         {{int}} not null, -- 0 until destroyed
	primary key (organisation_id, id),
	unique (id),
	unique (organisation_id, purpose, period, number),
	check ((state = 'destroyed') = (wrapped is null))
){{strict}};

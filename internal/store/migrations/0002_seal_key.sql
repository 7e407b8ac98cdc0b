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
	state           text not null, -- active: seals and opens; retired: opens; leaving: opens until its subjects are under another; destroyed
	used            {{int}} not null, -- seals, counted ahead in steps of 65,536
	made_at         {{int}} not null,
	retired_at      {{int}} not null, -- 0 while active
	gone_at         {{int}} not null, -- 0 until destroyed
	primary key (organisation_id, id),
	unique (id),
	unique (organisation_id, purpose, period, number),
	check ((state = 'destroyed') = (wrapped is null))
){{strict}};

-- One row an organisation: whoever wraps a new subject's key holds it shared, whoever destroys a bucket's key holds it alone.
create table seal_guard (
	organisation_id {{int}} not null,
	generation      {{int}} not null, -- grows when a bucket key leaves
	primary key (organisation_id)
){{strict}};

-- What every live node is to drop from memory: a destroyed key, or the epochs below a number. The epochs' file follows when all have.
create table seal_order (
	organisation_id {{int}} not null,
	id              {{blob}} not null,
	what            text not null, -- key, organisation, epochs
	number          {{int}} not null, -- the key's id; 0; the lowest epoch that stays
	made_at         {{int}} not null,
	done_at         {{int}} not null, -- 0 until every live node has dropped it
	primary key (organisation_id, id)
){{strict}};

create index seal_order_open on seal_order (made_at) where done_at = 0;

create table seal_ack (
	organisation_id {{int}} not null,
	order_id        {{blob}} not null,
	node            {{blob}} not null,
	acked_at        {{int}} not null,
	primary key (organisation_id, order_id, node)
){{clustered}};

-- Certificates of destruction, signed with the ledger's key. They say ids and dates, nothing that was sealed, and stay for good.
create table seal_certificate (
	organisation_id {{int}} not null,
	id              {{blob}} not null,
	made_at         {{int}} not null,
	signed          {{blob}} not null,
	primary key (organisation_id, id)
){{strict}};

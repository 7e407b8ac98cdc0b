-- What this database's schema has been through. SHA-256 of each file as it was shipped.
create table migration (
	organisation_id {{int}} not null,
	number          {{int}} not null,
	name            text not null,
	sum             text not null,
	applied_at      {{int}} not null,
	primary key (organisation_id, number)
){{strict}};

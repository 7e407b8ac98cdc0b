-- Files, sealed in chunks of 1 MiB. about (sealed) says name, media type, size, chunks and digest; it is null until the last chunk is in.
create table file (
	organisation_id {{int}} not null,
	id              {{blob}} not null,
	about           {{blob}},
	made_at         {{int}} not null,
	whole_at        {{int}} not null, -- 0 while it is being written
	primary key (organisation_id, id)
){{strict}};

create index file_unfinished on file (made_at) where whole_at = 0;

create table file_chunk (
	organisation_id {{int}} not null,
	file_id         {{blob}} not null,
	number          {{int}} not null, -- from 0
	content         {{blob}} not null, -- sealed
	primary key (organisation_id, file_id, number),
	foreign key (organisation_id, file_id) references file (organisation_id, id) on delete cascade
){{strict}};

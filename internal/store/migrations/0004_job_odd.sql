-- Odd work that must survive a crash. due_at is when the row may be claimed: while it runs, that is the end of its lease. A row
-- leaves when its work is done; what used up its attempts stays with state 3 and the fault that says why.
create table job (
	organisation_id {{int}} not null,
	id              {{blob}} not null,
	kind            text not null,
	arguments       {{blob}}, -- sealed
	state           {{int}} not null, -- 1 ready, 2 running, 3 given up
	due_at          {{int}} not null,
	lease           {{blob}}, -- of the claim that runs it
	attempt         {{int}} not null,
	made_at         {{int}} not null,
	code            text not null, -- of the last fault
	problem         text not null, -- its text, which holds no values
	primary key (organisation_id, id)
){{strict}};

create index job_due on job (kind, due_at) where state <> 3;

-- Numbers that are given once per organisation: 1 ordinals, 2 events, 3 sources. next is the first not given yet.
CREATE TABLE person_number (
	organisation_id {{int}} NOT NULL,
	kind            {{int}} NOT NULL,
	next            {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, kind)
){{strict}};

-- Feeds: an EHR, a pharmacy, the staff themselves. record (sealed) holds the name and the kinds of events it delivers completely.
CREATE TABLE source (
	organisation_id {{int}} NOT NULL,
	id              {{int}} NOT NULL,
	name            {{blob}} NOT NULL, -- blind
	record          {{blob}} NOT NULL,
	seen_at         {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, id),
	UNIQUE (organisation_id, name)
){{strict}};

-- People. core and projection are sealed under the person's own key, which wrapped_key holds.
CREATE TABLE person (
	organisation_id {{int}} NOT NULL,
	id              {{blob}} NOT NULL,
	ordinal         {{int}} NOT NULL, -- the place in every bitmap, never reused
	state           {{int}} NOT NULL, -- 1 in use, 2 merged into another, 3 shredded: the row stays, empty
	merged_into     {{blob}},
	version         {{int}} NOT NULL, -- grows with every write
	projected_to    {{int}} NOT NULL, -- the last event in the projection
	made_at         {{int}} NOT NULL,
	changed_at      {{int}} NOT NULL,
	wrapped_key     {{blob}} NOT NULL,
	projection      {{blob}} NOT NULL,
	core            {{blob}} NOT NULL,
	PRIMARY KEY (organisation_id, id)
){{strict}};

CREATE UNIQUE INDEX person_ordinal ON person (organisation_id, ordinal);
CREATE INDEX person_merged ON person (organisation_id, merged_into) WHERE merged_into IS NOT NULL;

-- What people are found by, blind. kind: 1 a source's key of the person, 2 an identifier (record number), 3 email, 4 phone.
CREATE TABLE person_identifier (
	organisation_id {{int}} NOT NULL,
	kind            {{int}} NOT NULL,
	blind           {{blob}} NOT NULL,
	person_id       {{blob}} NOT NULL,
	PRIMARY KEY (organisation_id, kind, blind, person_id)
){{clustered}};

CREATE UNIQUE INDEX person_subject ON person_identifier (organisation_id, blind) WHERE kind = 1;

-- Facts: one row per version of a source's resource. state: 1 current, 2 superseded, 3 withdrawn with its import.
CREATE TABLE fact (
	organisation_id {{int}} NOT NULL,
	person_id       {{blob}} NOT NULL,
	id              {{blob}} NOT NULL,
	source_id       {{int}} NOT NULL,
	resource        {{blob}} NOT NULL, -- blind: the source's key of the resource
	state           {{int}} NOT NULL,
	import_id       {{blob}} NOT NULL,
	made_at         {{int}} NOT NULL,
	ended_at        {{int}} NOT NULL, -- when it was superseded or withdrawn; 0 while current
	ended_by        {{blob}}, -- the import that did it
	record          {{blob}} NOT NULL, -- sealed under the person's key
	PRIMARY KEY (organisation_id, person_id, id)
){{clustered}};

CREATE UNIQUE INDEX fact_current ON fact (organisation_id, source_id, resource) WHERE state = 1;
CREATE INDEX fact_import ON fact (organisation_id, import_id, person_id);
CREATE INDEX fact_ended ON fact (organisation_id, ended_by, resource) WHERE ended_by IS NOT NULL;

-- Imports that said what a current row (a fact, or an event) of an earlier import said already: should that one be undone, it is theirs.
CREATE TABLE fact_said (
	organisation_id {{int}} NOT NULL,
	import_id       {{blob}} NOT NULL,
	row_id          {{blob}} NOT NULL,
	PRIMARY KEY (organisation_id, import_id, row_id)
){{clustered}};

CREATE INDEX fact_said_row ON fact_said (organisation_id, row_id, import_id);

-- Events, appended in the order of their numbers. state: 1 stands, 2 taken back, 3 takes one back.
CREATE TABLE event (
	organisation_id {{int}} NOT NULL,
	seq             {{int}} NOT NULL,
	person_id       {{blob}} NOT NULL,
	id              {{blob}} NOT NULL,
	source_id       {{int}} NOT NULL,
	key             {{blob}} NOT NULL, -- blind: the source's key of the event
	state           {{int}} NOT NULL,
	import_id       {{blob}}, -- of what a source itself sends; events that facts say have none
	made_at         {{int}} NOT NULL,
	record          {{blob}} NOT NULL, -- sealed under the person's key
	PRIMARY KEY (organisation_id, seq)
){{strict}};

CREATE UNIQUE INDEX event_key ON event (organisation_id, source_id, key) WHERE state = 1;
CREATE INDEX event_person ON event (organisation_id, person_id, seq);
CREATE INDEX event_import ON event (organisation_id, import_id, person_id) WHERE import_id IS NOT NULL;

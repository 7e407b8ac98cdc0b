-- A saved rule. name: blind, for look-ups and so that no two have the same; the name itself is in the record of each version.
CREATE TABLE segment (
	organisation_id {{int}} NOT NULL,
	id              {{blob}} NOT NULL,
	name            {{blob}} NOT NULL,
	state           {{int}} NOT NULL, -- 1 in use, 2 retired
	version         {{int}} NOT NULL, -- the newest
	made_at         {{int}} NOT NULL,
	changed_at      {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, id)
){{strict}};

CREATE UNIQUE INDEX segment_name ON segment (organisation_id, name);

-- Every version stays: an approval and a message name the one that they meant. record: sealed name, note, rule, hash, and who.
CREATE TABLE segment_version (
	organisation_id {{int}} NOT NULL,
	segment_id      {{blob}} NOT NULL,
	version         {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	made_at         {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, segment_id, version)
){{strict}};

-- Lists of codes or values that rules name. name: blind; record: sealed name, note and members.
CREATE TABLE value_set (
	organisation_id {{int}} NOT NULL,
	name            {{blob}} NOT NULL,
	version         {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	made_at         {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, name, version)
){{strict}};

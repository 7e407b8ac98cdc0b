-- What a person said or agreed about being written to. kind: 1 consent, 2 authorization, 3 restriction, 4 confidential communication,
-- 5 plain mail after a warning, 6 consent under 42 CFR 2, 7 suppression of the person, 8 proposal of a source, 9 preferences.
-- record and ending are sealed under the person's key.
CREATE TABLE consent (
	organisation_id {{int}} NOT NULL,
	person_id       {{blob}} NOT NULL,
	id              {{blob}} NOT NULL,
	kind            {{int}} NOT NULL,
	state           {{int}} NOT NULL, -- 1 in force, 2 ended, 3 proposed, 4 rejected, 5 withdrawn with the import that brought it
	made_at         {{int}} NOT NULL,
	ended_at        {{int}} NOT NULL, -- 0 while it has not ended
	record          {{blob}} NOT NULL,
	ending          {{blob}}, -- how it ended
	cause           {{blob}}, -- the fact of a source that says so, when one does
	end_cause       {{blob}}, -- the fact that ended it
	PRIMARY KEY (organisation_id, person_id, id)
){{clustered}};

CREATE INDEX consent_cause ON consent (organisation_id, cause) WHERE cause IS NOT NULL;
CREATE INDEX consent_end_cause ON consent (organisation_id, end_cause) WHERE end_cause IS NOT NULL;

-- Addresses not to be written to, or not for everything: they outlive the person's record, so they are sealed under the month's key.
CREATE TABLE suppression (
	organisation_id {{int}} NOT NULL,
	address         {{blob}} NOT NULL, -- blind, of channel and normal form
	id              {{blob}} NOT NULL,
	state           {{int}} NOT NULL, -- 1 in force, 2 ended, 5 withdrawn with the import that brought it
	made_at         {{int}} NOT NULL,
	ended_at        {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	ending          {{blob}},
	import_id       {{blob}}, -- the import that says so, when one does
	PRIMARY KEY (organisation_id, address, id)
){{clustered}};

CREATE INDEX suppression_import ON suppression (organisation_id, import_id, id) WHERE import_id IS NOT NULL;

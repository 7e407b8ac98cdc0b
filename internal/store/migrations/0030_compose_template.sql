-- Templates. record (sealed): the name. latest: the newest version.
CREATE TABLE template (
	organisation_id {{int}} NOT NULL,
	id              {{blob}} NOT NULL,
	state           {{int}} NOT NULL, -- 1 in use, 2 withdrawn
	latest          {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	made_at         {{int}} NOT NULL,
	changed_at      {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, id)
){{strict}};

-- Versions, immutable. purpose and class are what the version is declared to be: ledger's purposes, organisation's classes.
CREATE TABLE template_version (
	organisation_id {{int}} NOT NULL,
	template_id     {{blob}} NOT NULL,
	number          {{int}} NOT NULL,
	purpose         {{int}} NOT NULL,
	class           {{int}} NOT NULL,
	content         {{blob}} NOT NULL, -- sealed JSON: docs/templates.md
	made_at         {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, template_id, number)
){{strict}};

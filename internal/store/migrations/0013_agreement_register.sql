-- Agreements with those who act for the organisation. state: 1 in force as dated, 2 ended. Counterparty, services, dates of the contract,
-- clauses and the document's hash are in the record.
CREATE TABLE agreement (
	organisation_id {{int}} NOT NULL,
	id              {{blob}} NOT NULL,
	state           {{int}} NOT NULL,
	version         {{int}} NOT NULL, -- grows with every change
	made_at         {{int}} NOT NULL,
	changed_at      {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	PRIMARY KEY (organisation_id, id)
){{strict}};

-- An organisation's number, host name and state; the sealed record holds names, zone, languages, postal address.
CREATE TABLE organisation (
	organisation_id {{int}} NOT NULL,
	host            TEXT NOT NULL, -- of patient pages and links; unique in the installation
	state           {{int}} NOT NULL, -- 1 active, 2 closed
	version         {{int}} NOT NULL, -- grows with every change
	record          {{blob}} NOT NULL,
	made_at         {{int}} NOT NULL,
	changed_at      {{int}} NOT NULL,
	PRIMARY KEY (organisation_id)
){{strict}};

CREATE UNIQUE INDEX organisation_host ON organisation (host);

-- The number given last; one row, of the installation.
CREATE TABLE organisation_number (
	organisation_id {{int}} NOT NULL,
	last            {{int}} NOT NULL,
	PRIMARY KEY (organisation_id)
){{strict}};

CREATE TABLE location (
	organisation_id {{int}} NOT NULL,
	id              {{blob}} NOT NULL,
	state           {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	changed_at      {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, id)
){{strict}};

-- Domains that mail is sent from. name: blind, for look-ups; the name itself is in the record.
CREATE TABLE domain (
	organisation_id {{int}} NOT NULL,
	id              {{blob}} NOT NULL,
	name            {{blob}} NOT NULL,
	state           {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	made_at         {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, id)
){{strict}};

CREATE UNIQUE INDEX domain_name ON domain (organisation_id, name);

-- DKIM keys. state: 1 published but not used yet, 2 signs, 3 no longer signs but still published, 4 destroyed.
CREATE TABLE dkim_key (
	organisation_id {{int}} NOT NULL,
	domain_id       {{blob}} NOT NULL,
	selector        TEXT NOT NULL,
	algorithm       {{int}} NOT NULL, -- 1 rsa-sha256, 2 ed25519-sha256
	state           {{int}} NOT NULL,
	public          {{blob}} NOT NULL, -- PKIX
	private         {{blob}}, -- PKCS #8, sealed; NULL once destroyed
	made_at         {{int}} NOT NULL,
	active_at       {{int}} NOT NULL,
	rotate_at       {{int}} NOT NULL, -- half a year after it began to sign
	ended_at        {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, domain_id, selector)
){{strict}};

CREATE TABLE sender_identity (
	organisation_id {{int}} NOT NULL,
	id              {{blob}} NOT NULL,
	domain_id       {{blob}} NOT NULL,
	class           {{int}} NOT NULL, -- 1 transactional, 2 commercial
	state           {{int}} NOT NULL,
	record          {{blob}} NOT NULL, -- address, display name, reply-to, stream
	changed_at      {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, id)
){{strict}};

-- Protection policies, every version kept: a decision names the version it was made by.
CREATE TABLE protection_policy (
	organisation_id {{int}} NOT NULL,
	version         {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	made_at         {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, version)
){{strict}};

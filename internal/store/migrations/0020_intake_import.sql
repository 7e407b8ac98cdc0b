-- Imports of source messages. record (sealed) holds the source, the format, the files and the counts. cursor_*: what of the files is
-- committed in raw. done_*: the last group of raw that was applied.
CREATE TABLE import (
	organisation_id {{int}} NOT NULL,
	id              {{blob}} NOT NULL,
	state           {{int}} NOT NULL, -- 1 reading, 2 applying, 3 done, 4 failed, 5 undone, 6 being undone, 7 to be mapped again
	version         {{int}} NOT NULL, -- one process works on an import: the other finds another version
	cursor_file     {{int}} NOT NULL,
	cursor_offset   {{int}} NOT NULL,
	cursor_line     {{int}} NOT NULL,
	last_seq        {{int}} NOT NULL, -- of raw
	done_turn       {{int}} NOT NULL,
	done_subject    {{blob}} NOT NULL,
	done_seq        {{int}} NOT NULL,
	started_at      {{int}} NOT NULL,
	changed_at      {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	PRIMARY KEY (organisation_id, id)
){{strict}};

-- Every message as it came, sealed and committed before it is applied. turn: 0 never applied, 1 referred to by others, 2 of a person,
-- 3 of whoever has an identifier, 4 deletions, 5 a block of many messages, each of a person of its own.
CREATE TABLE raw (
	organisation_id {{int}} NOT NULL,
	import_id       {{blob}} NOT NULL,
	seq             {{int}} NOT NULL,
	turn            {{int}} NOT NULL,
	subject         {{blob}} NOT NULL, -- blind: what groups the messages of one person
	file            {{int}} NOT NULL,
	line            {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	PRIMARY KEY (organisation_id, import_id, seq)
){{strict}};

CREATE INDEX raw_turn ON raw (organisation_id, import_id, turn, subject, seq) WHERE turn > 0;
CREATE INDEX raw_referred ON raw (organisation_id, subject) WHERE turn = 1;

-- Messages that were set aside, with the reason (sealed). raw_seq 0: not kept, for it was too long.
CREATE TABLE quarantine (
	organisation_id {{int}} NOT NULL,
	import_id       {{blob}} NOT NULL,
	seq             {{int}} NOT NULL,
	raw_seq         {{int}} NOT NULL,
	file            {{int}} NOT NULL,
	line            {{int}} NOT NULL,
	state           {{int}} NOT NULL, -- 1 refused, 2 waits for another message, 3 settled
	made_at         {{int}} NOT NULL,
	record          {{blob}} NOT NULL,
	PRIMARY KEY (organisation_id, import_id, seq)
){{strict}};

CREATE INDEX quarantine_waits ON quarantine (organisation_id, import_id, seq) WHERE state = 2;

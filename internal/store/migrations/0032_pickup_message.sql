-- Messages that wait here for their recipient. content: sealed under the recipient's own key, or under the month's message key when
-- the recipient is no person.
CREATE TABLE pickup (
	organisation_id {{int}} NOT NULL,
	id              {{blob}} NOT NULL,
	message_id      {{blob}} NOT NULL,
	person_id       {{blob}}, -- whose key sealed the content; NULL: the month's
	state           {{int}} NOT NULL, -- 1 waiting, 2 opened, 3 unread and its sender told, 4 withdrawn
	purpose         {{int}} NOT NULL, -- the HIPAA purpose of the message: ledger's numbers
	content         {{blob}}, -- NULL once withdrawn
	made_at         {{int}} NOT NULL,
	due_at          {{int}} NOT NULL, -- of the next reminder, or of telling the sender; 0 when neither is ahead
	tell_at         {{int}} NOT NULL, -- when the sender is told
	remind          TEXT NOT NULL, -- milliseconds after made_at at which reminders are due, joined by commas
	reminded        {{int}} NOT NULL, -- reminders so far
	opened_at       {{int}} NOT NULL, -- first; 0 is never
	seen_at         {{int}} NOT NULL, -- last
	opens           {{int}} NOT NULL,
	PRIMARY KEY (organisation_id, id)
){{strict}};

CREATE UNIQUE INDEX pickup_of_message ON pickup (organisation_id, message_id);
CREATE INDEX pickup_due ON pickup (due_at) WHERE due_at > 0;

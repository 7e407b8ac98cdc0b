-- One thing said to many, or to one: what its sender declared. name and request are sealed under the setting key.
CREATE TABLE send (
    organisation_id {{int}} NOT NULL,
    id {{blob}} NOT NULL,
    purpose {{int}} NOT NULL,
    mail_class {{int}} NOT NULL,
    bulk {{int}} NOT NULL,
    name {{blob}} NOT NULL,
    request {{blob}} NOT NULL,
    made_at {{int}} NOT NULL,
    PRIMARY KEY (organisation_id, id)
){{strict}};

-- One message to one recipient. values are the caller's, sealed under the person's key.
--   state  1 waiting, 2 accepted, 3 bounced, 4 expired, 5 held, 6 in doubt, 7 cancelled, 8 refused
CREATE TABLE message (
    organisation_id {{int}} NOT NULL,
    id {{blob}} NOT NULL,
    send_id {{blob}} NOT NULL,
    person_id {{blob}} NOT NULL,
    state {{int}} NOT NULL,
    means TEXT NOT NULL,
    decisions {{int}} NOT NULL,
    attempts {{int}} NOT NULL,
    deferred {{int}} NOT NULL,
    made_at {{int}} NOT NULL,
    decided_at {{int}} NOT NULL,
    done_at {{int}} NOT NULL,
    vars {{blob}} NOT NULL,
    PRIMARY KEY (organisation_id, id)
){{clustered}};

-- A send writes to a person once, however often it is handed in.
CREATE UNIQUE INDEX message_once ON message (organisation_id, send_id, person_id);
CREATE INDEX message_person ON message (organisation_id, person_id, id);
CREATE INDEX message_state ON message (organisation_id, state, id);

-- Every decision of the gate on a message, in order; the last one counts. decision is sealed under the person's key.
CREATE TABLE message_decision (
    organisation_id {{int}} NOT NULL,
    message_id {{blob}} NOT NULL,
    number {{int}} NOT NULL,
    means TEXT NOT NULL,
    decided_at {{int}} NOT NULL,
    decision {{blob}} NOT NULL,
    PRIMARY KEY (organisation_id, message_id, number)
){{clustered}};

-- One row per message and recipient. Clear: ids, states, codes, our own times. Sealed: domain (the recipient's), reply (the receiver's
-- words), frozen (what Prepare keeps).
--   state    0 routing, 1 ready, 2 sending, 3 done; ending says how it was done
--   lane     keyed hash of source and receiver: whoever reads the table learns that rows go to one receiver, not to which
--   failure  what the last connection lacked: the row waits to be decided anew (redecide)
--   attempt  and doubt: since a person last released it; attempts_before and doubts_before: until then
--   lease    a random number per claim; an outcome counts only under its own. holder: the engine that has it, see delivery_holder
CREATE TABLE delivery (
    organisation_id {{int}} NOT NULL,
    message_id {{blob}} NOT NULL,
    person_id {{blob}},
    purpose {{int}} NOT NULL,
    kind {{int}} NOT NULL,
    priority {{int}} NOT NULL,
    source {{int}} NOT NULL,
    size {{int}} NOT NULL,
    state {{int}} NOT NULL,
    ending {{int}} NOT NULL,
    reason TEXT NOT NULL,
    lane {{int}} NOT NULL,
    submitted_at {{int}} NOT NULL,
    due_at {{int}} NOT NULL,
    expires_at {{int}} NOT NULL,
    done_at {{int}} NOT NULL,
    attempt {{int}} NOT NULL,
    doubt {{int}} NOT NULL,
    attempts_before {{int}} NOT NULL,
    doubts_before {{int}} NOT NULL,
    lease {{int}} NOT NULL,
    holder {{int}} NOT NULL,
    intent_at {{int}} NOT NULL,
    failure TEXT NOT NULL,
    class TEXT NOT NULL,
    code {{int}} NOT NULL,
    enhanced TEXT NOT NULL,
    proof TEXT NOT NULL,
    tls TEXT NOT NULL,
    domain {{blob}} NOT NULL,
    reply {{blob}},
    frozen {{blob}},
    PRIMARY KEY (organisation_id, message_id)
){{clustered}};

CREATE INDEX delivery_routing ON delivery (priority, due_at, organisation_id, message_id) WHERE state = 0;
CREATE INDEX delivery_ready ON delivery (lane, priority, organisation_id, due_at) WHERE state = 1;
CREATE INDEX delivery_urgent ON delivery (due_at, lane, organisation_id) WHERE state = 1 AND priority = 1;
CREATE INDEX delivery_sending ON delivery (holder, lease) WHERE state = 2;
CREATE INDEX delivery_waiting ON delivery (expires_at) WHERE state < 2;

-- Engines at work, of the installation: organisation 0. Each says now and then that it lives; rows of one that does not are taken over.
CREATE TABLE delivery_holder (
    organisation_id {{int}} NOT NULL,
    holder {{int}} NOT NULL,
    until_at {{int}} NOT NULL,
    PRIMARY KEY (organisation_id, holder)
){{clustered}};

-- The newest restore that an organisation's queue knows of: the number of its entry in the organisation's ledger, and one.
CREATE TABLE delivery_restore (
    organisation_id {{int}} NOT NULL,
    known {{int}} NOT NULL,
    PRIMARY KEY (organisation_id)
){{clustered}};

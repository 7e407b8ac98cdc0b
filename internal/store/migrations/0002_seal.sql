-- The ring that this database was made with, and the newest epoch in use. One row, of the installation.
CREATE TABLE seal_ring (
    organisation_id {{int}} NOT NULL,
    ring            {{blob}} NOT NULL, -- the ring's id, 16 bytes
    epoch           {{int}} NOT NULL, -- rows of seal_key are wrapped by this epoch, or by an older one that the ring still holds
    proof           {{blob}} NOT NULL, -- the ring's id sealed under that epoch: another key of the same number is found out
    changed_at      {{int}} NOT NULL,
    PRIMARY KEY (organisation_id)
){{strict}};

-- The keys below the epochs. A row stays for good: when its key is destroyed, wrapped is emptied and gone_at set.
CREATE TABLE seal_key (
    organisation_id {{int}} NOT NULL,
    id              {{int}} NOT NULL, -- as in the envelope: installation-wide, random, 1 to 2^31-1
    purpose         TEXT NOT NULL, -- message, ledger, file, setting, raw, job; bucket, blind, token, address
    period          {{int}} NOT NULL, -- the month as yyyymm; the bucket, 0 to 255; else 0
    number          {{int}} NOT NULL, -- from 1; a further key for the same purpose and period
    wrapped         {{blob}}, -- envelope under the epoch
    epoch           {{int}} NOT NULL,
    state           TEXT NOT NULL, -- active: seals and opens; retired: opens; destroyed
    used            {{int}} NOT NULL, -- seals, counted ahead in steps of 65,536
    made_at         {{int}} NOT NULL,
    retired_at      {{int}} NOT NULL, -- 0 while active
    gone_at         {{int}} NOT NULL, -- 0 until destroyed
    PRIMARY KEY (organisation_id, id),
    UNIQUE (id),
    UNIQUE (organisation_id, purpose, period, number),
    CHECK ((state = 'destroyed') = (wrapped IS NULL))
){{strict}};

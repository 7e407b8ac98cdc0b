-- Entries that have no place yet: PostgreSQL only, where many transactions append at once. id: UUIDv7, the order of appending.
CREATE TABLE ledger_pending (
    organisation_id {{int}} NOT NULL,
    id {{blob}} NOT NULL,
    leaf {{blob}} NOT NULL,
    detail {{blob}},
    PRIMARY KEY (organisation_id, id)
){{clustered}};

-- The entries of an organisation's tree, numbered from 0 without a gap. leaf is what is hashed (docs/formats/leaf.md); detail is
-- sealed under a person's key or the month's, NULL when the act has none.
CREATE TABLE ledger_entry (
    organisation_id {{int}} NOT NULL,
    seq {{int}} NOT NULL,
    leaf {{blob}} NOT NULL,
    detail {{blob}},
    PRIMARY KEY (organisation_id, seq)
){{clustered}};

-- The entries about a person, by the blind in the leaf itself, with the act: what the index says cannot differ from what was hashed.
CREATE INDEX ledger_subject ON ledger_entry (organisation_id, substr(leaf, 34, 16), seq, substr(leaf, 31, 2));

-- The entries about a thing: a message, a template, a user.
CREATE INDEX ledger_object ON ledger_entry (organisation_id, substr(leaf, 50, 16), seq);

-- Hashes of the tree, 256 to a row (docs/formats/tiles.md); the last tile of each level grows until it is full.
CREATE TABLE ledger_tile (
    organisation_id {{int}} NOT NULL,
    level {{int}} NOT NULL,
    place {{int}} NOT NULL,
    hashes {{blob}} NOT NULL,
    PRIMARY KEY (organisation_id, level, place)
){{strict}};

-- One row per tree: its size and root, the right edge's hashes, and the newest signed checkpoint (of signed_size entries).
CREATE TABLE ledger_head (
    organisation_id {{int}} NOT NULL,
    epoch {{int}} NOT NULL,
    size {{int}} NOT NULL,
    root {{blob}} NOT NULL,
    frontier {{blob}} NOT NULL,
    signed_size {{int}} NOT NULL,
    signed_at {{int}} NOT NULL,
    signed {{blob}} NOT NULL,
    PRIMARY KEY (organisation_id)
){{strict}};

-- Signed checkpoints that are kept: one a minute at most.
CREATE TABLE ledger_checkpoint (
    organisation_id {{int}} NOT NULL,
    epoch {{int}} NOT NULL,
    size {{int}} NOT NULL,
    signed_at {{int}} NOT NULL,
    signed {{blob}} NOT NULL,
    PRIMARY KEY (organisation_id, epoch, size)
){{strict}};

-- Lines by which witnesses cosigned a checkpoint.
CREATE TABLE ledger_cosign (
    organisation_id {{int}} NOT NULL,
    epoch {{int}} NOT NULL,
    size {{int}} NOT NULL,
    witness text NOT NULL,
    line text NOT NULL,
    cosigned_at {{int}} NOT NULL,
    PRIMARY KEY (organisation_id, epoch, size, witness)
){{strict}};

-- Touches of people that have no number yet: PostgreSQL only.
CREATE TABLE change_pending (
    organisation_id {{int}} NOT NULL,
    id {{blob}} NOT NULL,
    person_id {{blob}} NOT NULL,
    PRIMARY KEY (organisation_id, id)
){{clustered}};

-- Touches of people in the order in which followers (the audience's index) take them. The newest row is never pruned: the next
-- number counts from it.
CREATE TABLE change (
    organisation_id {{int}} NOT NULL,
    seq {{int}} NOT NULL,
    person_id {{blob}} NOT NULL,
    PRIMARY KEY (organisation_id, seq)
){{clustered}};

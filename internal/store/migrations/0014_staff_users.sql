-- A member of the staff. The email is clear and unique in the installation: sign-in knows no organisation yet.
CREATE TABLE staff_user (
    organisation_id {{int}} NOT NULL,
    id {{blob}} NOT NULL,
    email TEXT NOT NULL,
    state {{int}} NOT NULL,
    name {{blob}} NOT NULL,
    made_at {{int}} NOT NULL,
    ended_at {{int}} NOT NULL,
    PRIMARY KEY (organisation_id, id)
){{strict}};

CREATE UNIQUE INDEX staff_user_email ON staff_user (email);

-- A role granted to a user, by whom.
CREATE TABLE staff_grant (
    organisation_id {{int}} NOT NULL,
    user_id {{blob}} NOT NULL,
    role TEXT NOT NULL,
    granted_at {{int}} NOT NULL,
    granted_by {{blob}},
    PRIMARY KEY (organisation_id, user_id, role)
){{strict}};

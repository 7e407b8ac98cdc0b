-- Routes of an organisation: a recipient domain that is reached by a server of the operator's choice. domain: blind; sealed: the rest.
CREATE TABLE route (
    organisation_id {{int}} NOT NULL,
    id {{blob}} NOT NULL,
    domain {{blob}} NOT NULL,
    agreement_id {{blob}},
    sealed {{blob}} NOT NULL,
    changed_at {{int}} NOT NULL,
    PRIMARY KEY (organisation_id, id)
){{clustered}};

CREATE UNIQUE INDEX route_domain ON route (organisation_id, domain);

-- MTA-STS policies as fetched (RFC 8461 3.3), of the installation: organisation 0. They outlive restarts, since a policy that is forgotten
-- is a policy that an attacker can suppress. domain: blind, since a rare domain names its owner; sealed: id and policy.
CREATE TABLE mtasts_policy (
    organisation_id {{int}} NOT NULL,
    domain {{blob}} NOT NULL,
    sealed {{blob}} NOT NULL,
    fetched_at {{int}} NOT NULL,
    expires_at {{int}} NOT NULL,
    PRIMARY KEY (organisation_id, domain)
){{clustered}};

CREATE INDEX mtasts_policy_expiry ON mtasts_policy (organisation_id, expires_at);

-- What recommendations were made of, as far as policies have it recorded: a JSON document each. Ids begin with their time, so that
-- both indexes are in order of time, and what is old is at the beginning of its tenant's.
CREATE TABLE decisions (
    tenant            integer NOT NULL REFERENCES tenants,
    recommendation_id bytea NOT NULL CHECK (octet_length(recommendation_id) = 16),
    -- NULL: it was nobody's list, or that of a user of whom nothing was known.
    user_id           text COLLATE "C",
    -- As far as the list knew what the user does.
    user_version      bigint NOT NULL,
    document          json NOT NULL,
    PRIMARY KEY (tenant, recommendation_id)
);
CREATE INDEX decisions_user ON decisions (tenant, user_id, recommendation_id) WHERE user_id IS NOT NULL;

-- What was really shown, as clients tell it by tracking tokens: an item of a recommendation once. No interaction, and no version
-- of a user. Ids of recommendations begin with their time, so that both indexes are in order of time, and what is old is at the
-- beginning of its tenant's.
CREATE TABLE impressions (
    tenant            integer NOT NULL REFERENCES tenants,
    recommendation_id bytea NOT NULL CHECK (octet_length(recommendation_id) = 16),
    item_number       integer NOT NULL,
    position          smallint NOT NULL,
    -- NULL: it was nobody's list.
    user_id           text COLLATE "C",
    -- NULL, all four: of a token that does not say.
    model             bigint,
    policy            text COLLATE "C",
    variant           text COLLATE "C",
    surface           text COLLATE "C",
    received_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, recommendation_id, item_number)
);
CREATE INDEX impressions_user ON impressions (tenant, user_id, recommendation_id) INCLUDE (item_number, surface)
    WHERE user_id IS NOT NULL;

-- What the answer was made of that an event came from, beside its id and the place in it.
ALTER TABLE interactions
    ADD COLUMN model   bigint,
    ADD COLUMN policy  text COLLATE "C",
    ADD COLUMN variant text COLLATE "C",
    ADD COLUMN surface text COLLATE "C";

-- The start of the process that reads tokens of version 2. Where it is not that of the node, a program of the version before runs
-- there, and would refuse what comes with one.
ALTER TABLE nodes ADD COLUMN reads_tokens_since timestamptz;

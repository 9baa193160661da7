-- Erasures of users: what is still to be taken away, the receipt of it, and all that stays: a keyed hash of tenant and user, and
-- the version above which a user of that name begins anew.
CREATE TABLE erasures (
    job          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       integer NOT NULL REFERENCES tenants,
    state        text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
    user_hash    bytea NOT NULL,
    version      bigint NOT NULL,
    -- Whose traces are to be found; null once there are none.
    user_id      text COLLATE "C",
    user_number  bigint,
    -- In Redis time, milliseconds since 1970: what was added to a stream by then is not stored any more.
    accepted_ms  bigint NOT NULL,
    -- The last row of the control log then: a purge of the tenant that came later makes void what was computed before.
    control_head bigint NOT NULL,
    xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- What was removed.
    redis_keys   bigint NOT NULL DEFAULT 0,
    pg_rows      bigint NOT NULL DEFAULT 0,
    decisions    bigint NOT NULL DEFAULT 0,
    -- Why the last attempt failed.
    reason       text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    CHECK ((state = 'done') = (user_id IS NULL))
);
CREATE INDEX erasures_open ON erasures (job) WHERE state <> 'done';
CREATE INDEX erasures_user ON erasures (tenant, user_hash);
CREATE INDEX erasures_version ON erasures (version);
-- Those whose rows in the journal are gone, as readers of the journal look for them.
CREATE INDEX erasures_scrubbed ON erasures (xid) WHERE state = 'done';

-- Whose event it was, so that the claim goes with them; null of what was retired before.
ALTER TABLE retired_events ADD COLUMN user_number bigint;
CREATE INDEX retired_events_user ON retired_events (user_number) WHERE user_number IS NOT NULL;

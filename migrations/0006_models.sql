-- What a version was fitted by and on, and how it stood against the version that was active then, on the same held-back
-- events. An empty baseline: there was none, or it was not measured.
ALTER TABLE model_versions
    ADD COLUMN parameters       jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN first_event      timestamptz,
    ADD COLUMN last_event       timestamptz,
    ADD COLUMN baseline         bigint,
    ADD COLUMN baseline_metrics jsonb NOT NULL DEFAULT '{}',
    -- When an operator last asked for it to be loaded by every node, whatever its state.
    ADD COLUMN warmed_at        timestamptz;

-- Which versions serve: the newest row of a tenant. A row is written in the transaction of its control_log row, whose id it
-- carries.
CREATE TABLE model_activations (
    tenant       integer NOT NULL REFERENCES tenants,
    epoch        bigint NOT NULL,
    model        bigint NOT NULL,
    -- Serves this share of the users, in hundredths of a percent.
    canary       bigint,
    share        integer NOT NULL DEFAULT 0 CHECK (share BETWEEN 0 AND 10000),
    -- The row that a rollback returns to; null: there is none. A rollback takes over the one of the row it returns to, so
    -- that rollbacks go back step by step.
    before       bigint,
    is_rollback  boolean NOT NULL DEFAULT false,
    activated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, epoch),
    CHECK ((canary IS NULL) = (share = 0))
);

-- What was activated before this table was there.
INSERT INTO model_activations (tenant, epoch, model)
SELECT tenant, 0, number FROM model_versions WHERE state = 'active';

-- Trainings that were asked for through the API; the builder of the fleet does them one after the other.
CREATE TABLE model_jobs (
    job         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      integer NOT NULL REFERENCES tenants,
    state       text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    recipe      text,
    activates   boolean NOT NULL,
    forces      boolean NOT NULL,
    model       bigint,
    -- Why it failed, or why its model was not activated.
    reason      text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    started_at  timestamptz,
    finished_at timestamptz
);
CREATE INDEX model_jobs_open ON model_jobs (job) WHERE state IN ('queued', 'running');

-- Computations of many users' lists ahead of their requests, by schedule or asked for through the API; the builder of the
-- fleet does them one after the other. The newest of a tenant are kept.
CREATE TABLE warm_jobs (
    job         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      integer NOT NULL REFERENCES tenants,
    state       text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    surface     text COLLATE "C" NOT NULL,
    scheduled   boolean NOT NULL,
    -- How many users there are to do; null: not known yet.
    total       bigint,
    -- Of them whose list was computed, was there already, or could not be computed.
    computed    bigint NOT NULL DEFAULT 0,
    held        bigint NOT NULL DEFAULT 0,
    failed      bigint NOT NULL DEFAULT 0,
    reason      text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    started_at  timestamptz,
    finished_at timestamptz
);
CREATE INDEX warm_jobs_open ON warm_jobs (job) WHERE state IN ('queued', 'running');
CREATE INDEX warm_jobs_tenant ON warm_jobs (tenant, job);

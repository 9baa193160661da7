-- Policy documents, whole and never changed once stored. The built-in policy has no row.
CREATE TABLE policies (
    tenant     integer NOT NULL REFERENCES tenants,
    version    text COLLATE "C" NOT NULL CHECK (version ~ '^[A-Za-z0-9._-]{1,64}$'),
    document   jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, version)
);

-- Which version is in force: the newest row of a tenant; without one, the built-in policy. A row is written in the
-- transaction of its control_log row, whose id it carries.
CREATE TABLE policy_activations (
    tenant       integer NOT NULL REFERENCES tenants,
    epoch        bigint NOT NULL,
    version      text COLLATE "C" NOT NULL,
    -- The row that a rollback returns to; null: to the built-in policy. A rollback takes over the one of the row it
    -- returns to, so that rollbacks go back step by step.
    before       bigint,
    activated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, epoch)
);

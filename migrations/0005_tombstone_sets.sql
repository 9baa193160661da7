-- Nodes read of tombstones what changed, and a bulk change is one row of the control log that points to a set.
CREATE INDEX tombstones_epoch ON tombstones (tenant, epoch);

-- What was taken away, and by which change; kept as long as the control log.
CREATE TABLE tombstone_removals (
    tenant integer NOT NULL REFERENCES tenants,
    kind   text NOT NULL,
    key    text COLLATE "C" NOT NULL,
    epoch  bigint NOT NULL,
    PRIMARY KEY (tenant, kind, key)
);
CREATE INDEX tombstone_removals_epoch ON tombstone_removals (epoch);

-- By a trigger, as a program of the version before knows only to delete. Writers hold the lock of the control log, so its last
-- row is their own; who folds a set says which change it is of.
CREATE FUNCTION record_tombstone_removals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tombstone_removals (tenant, kind, key, epoch)
    SELECT tenant, kind, key, coalesce(nullif(current_setting('vireo.epoch', true), '')::bigint,
                                       (SELECT max(id) FROM control_log), 0)
    FROM gone
    ON CONFLICT (tenant, kind, key) DO UPDATE SET epoch = greatest(tombstone_removals.epoch, excluded.epoch);
    RETURN NULL;
END $$;
CREATE TRIGGER tombstones_removed AFTER DELETE ON tombstones REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION record_tombstone_removals();

-- Bulk changes that are in force and not yet folded into tombstones. Of all that names a key, a row, a removal, a set, the
-- latest epoch counts.
CREATE TABLE tombstone_sets (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     integer NOT NULL REFERENCES tenants,
    kind       text NOT NULL CHECK (kind IN ('item', 'creator', 'category', 'campaign')),
    -- False: what is in it is not denied any more.
    denies     boolean NOT NULL,
    reason     text,
    expires_at timestamptz,
    -- Null only within the transaction that makes it.
    epoch      bigint,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tombstone_sets_epoch ON tombstone_sets (epoch);
CREATE TABLE tombstone_set_keys (
    set_id bigint NOT NULL REFERENCES tombstone_sets ON DELETE CASCADE,
    chunk  integer NOT NULL,
    keys   text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (set_id, chunk)
);

-- The start of the process that reads sets. Where it is not that of the node, a program of the version before runs there, to
-- which a set says nothing.
ALTER TABLE nodes ADD COLUMN reads_sets_since timestamptz;

-- Truth lives here (coherence, section 1). Ids are compared by bytes: every id column is text COLLATE "C".

-- One incarnation of the data: versions and log ids mean something only within it.
CREATE TABLE incarnation (
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id                text NOT NULL,
    system_identifier bigint NOT NULL,
    timeline          integer NOT NULL,
    minted_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenants (
    tenant     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  text COLLATE "C" NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO tenants (tenant_id) VALUES ('default'), ('_fleet');

CREATE TABLE api_keys (
    key_id      text COLLATE "C" PRIMARY KEY,
    tenant      integer NOT NULL REFERENCES tenants,
    scopes      text[] NOT NULL,
    secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz
);

-- A number is an item's index in snapshots, artifacts and cache entries: assigned once per tenant, never reused.
CREATE TABLE item_numbers (
    tenant integer PRIMARY KEY REFERENCES tenants,
    next   bigint NOT NULL DEFAULT 0
);
CREATE SEQUENCE item_revision_seq;
CREATE TABLE items (
    tenant          integer NOT NULL REFERENCES tenants,
    number          integer NOT NULL,
    item_id         text COLLATE "C" NOT NULL,
    title           text NOT NULL,
    categories      text[] NOT NULL DEFAULT '{}',
    creator         text,
    campaigns       text[] NOT NULL DEFAULT '{}',
    labels          jsonb NOT NULL DEFAULT '{}',
    price           double precision,
    regions         text[] NOT NULL DEFAULT '{}',
    available_from  timestamptz,
    available_until timestamptz,
    in_stock        boolean NOT NULL DEFAULT true,
    hidden          boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT now(),
    revision        bigint NOT NULL DEFAULT nextval('item_revision_seq'),
    -- The transaction of the last change: the revision feed polls by it, as the journal is polled.
    xid             xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (tenant, number),
    UNIQUE (tenant, item_id)
);
CREATE INDEX items_feed ON items (xid);

CREATE FUNCTION touch_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := nextval('item_revision_seq');
    NEW.xid := pg_current_xact_id();
    RETURN NEW;
END $$;
CREATE TRIGGER items_touch BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION touch_item();

-- What clients tell of a user.
CREATE TABLE users (
    tenant               integer NOT NULL REFERENCES tenants,
    user_id              text COLLATE "C" NOT NULL,
    labels               jsonb NOT NULL DEFAULT '{}',
    preferred_categories text[] NOT NULL DEFAULT '{}',
    created_at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, user_id)
);

-- What coherence needs of a user. The version is global, so that a deleted and re-created user never goes back.
CREATE SEQUENCE user_version_seq;
CREATE TABLE user_state (
    tenant  integer NOT NULL REFERENCES tenants,
    user_id text COLLATE "C" NOT NULL,
    number  bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    version bigint NOT NULL,
    consent boolean NOT NULL DEFAULT true,
    PRIMARY KEY (tenant, user_id)
) WITH (fillfactor = 80);

CREATE TABLE interactions (
    tenant            integer NOT NULL,
    user_number       bigint NOT NULL,
    item_number       integer NOT NULL,
    type              smallint NOT NULL,
    value             real NOT NULL,
    occurred_at       timestamptz NOT NULL,
    received_at       timestamptz NOT NULL DEFAULT now(),
    event_id          text COLLATE "C",
    recommendation_id bytea,
    position          smallint
);
-- "Newest N of a user" is answered from the index alone.
CREATE INDEX interactions_user ON interactions (user_number, occurred_at DESC) INCLUDE (item_number, type, value);
CREATE UNIQUE INDEX interactions_event ON interactions (tenant, event_id) WHERE event_id IS NOT NULL;

-- The journal: a row for every invalidating write, in its transaction. Partitioned by hour; the relay makes the partitions
-- ahead and drops those past retention.
CREATE TABLE invalidations (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    tenant     integer NOT NULL,
    user_id    text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (created_at);
CREATE INDEX invalidations_xid ON invalidations (xid);
CREATE TABLE invalidations_default PARTITION OF invalidations DEFAULT;

-- Control: writers take one advisory lock before the INSERT, so ids commit in order. A row says what changed; the tables
-- beside it hold the compacted state.
CREATE TABLE control_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     integer NOT NULL REFERENCES tenants,
    kind       text NOT NULL,
    payload    jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tombstones (
    tenant     integer NOT NULL REFERENCES tenants,
    kind       text NOT NULL CHECK (kind IN ('item', 'creator', 'category', 'campaign')),
    key        text COLLATE "C" NOT NULL,
    reason     text,
    expires_at timestamptz,
    epoch      bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, kind, key)
);

-- The last purge of each scope: an entry's generation is the highest that matches it.
CREATE TABLE generations (
    tenant     integer NOT NULL REFERENCES tenants,
    scope      text NOT NULL CHECK (scope IN ('tenant', 'surface', 'model', 'policy')),
    key        text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    PRIMARY KEY (tenant, scope, key)
);

CREATE TABLE model_versions (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       integer NOT NULL REFERENCES tenants,
    state        text NOT NULL CHECK (state IN ('building', 'ready', 'active', 'retired')),
    recipe       text NOT NULL,
    built_at     timestamptz NOT NULL DEFAULT now(),
    interactions bigint NOT NULL DEFAULT 0,
    users        bigint NOT NULL DEFAULT 0,
    items        bigint NOT NULL DEFAULT 0,
    bytes        bigint NOT NULL DEFAULT 0,
    checksum     bigint NOT NULL DEFAULT 0,
    metrics      jsonb NOT NULL DEFAULT '{}',
    -- What the data looked like when it was read, to tell whether a rebuild would see anything new.
    data_mark    text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX model_versions_active ON model_versions (tenant) WHERE state = 'active';
CREATE TABLE model_chunks (
    model bigint NOT NULL REFERENCES model_versions ON DELETE CASCADE,
    chunk integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (model, chunk)
);
ALTER TABLE model_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE TABLE nodes (
    node_id         text COLLATE "C" PRIMARY KEY,
    started_at      timestamptz NOT NULL,
    version         text NOT NULL,
    http_url        text NOT NULL,
    admin_url       text NOT NULL,
    lease_age_ms    bigint,
    control_applied bigint NOT NULL,
    model           text,
    policy          text NOT NULL,
    l1_entries      bigint NOT NULL,
    l1_bytes        bigint NOT NULL,
    loaded_models   bigint[] NOT NULL DEFAULT '{}',
    seen_at         timestamptz NOT NULL
);

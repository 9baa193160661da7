-- Catalogue and users: suppressions, deletions that nodes can follow, event ids that outlive a profile reset.

-- What a user does not want to be shown; a change raises the user's version in its transaction.
CREATE TABLE suppressions (
    user_number bigint NOT NULL REFERENCES user_state (number) ON DELETE CASCADE,
    kind        text COLLATE "C" NOT NULL CHECK (kind IN ('item', 'category', 'creator')),
    key         text COLLATE "C" NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_number, kind, key)
);

-- A deleted item leaves no row to poll: the revision feed reads this table as it reads items. Written by the trigger,
-- so that nodes follow a deletion whoever made it.
CREATE TABLE item_deletions (
    tenant     integer NOT NULL REFERENCES tenants,
    number     integer NOT NULL,
    item_id    text COLLATE "C" NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT now(),
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (tenant, number)
);
CREATE INDEX item_deletions_feed ON item_deletions (xid);

CREATE FUNCTION note_item_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO item_deletions (tenant, number, item_id) VALUES (OLD.tenant, OLD.number, OLD.item_id);
    RETURN NULL;
END $$;
CREATE TRIGGER items_deleted AFTER DELETE ON items FOR EACH ROW EXECUTE FUNCTION note_item_deletion();

-- The claims of interactions that a profile reset has deleted: an event that is sent again after it is still a duplicate.
CREATE TABLE retired_events (
    tenant     integer NOT NULL REFERENCES tenants,
    event_id   text COLLATE "C" NOT NULL,
    retired_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, event_id)
);
CREATE INDEX retired_events_age ON retired_events (retired_at);

-- Labels are strings by name; whoever writes others is refused here, not by every node that reads them.
ALTER TABLE items ADD CONSTRAINT items_labels CHECK (
    jsonb_typeof(labels) = 'object'
    AND NOT jsonb_path_exists(labels, 'strict $.* ? (@.type() != "string")', '{}', true)
);
ALTER TABLE users ADD CONSTRAINT users_labels CHECK (
    jsonb_typeof(labels) = 'object'
    AND NOT jsonb_path_exists(labels, 'strict $.* ? (@.type() != "string")', '{}', true)
);

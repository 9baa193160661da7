-- What each node has confirmed of the control log: one row for each step it has applied. A node of the version before
-- writes none and so confirms nothing: whoever waits for all waits for its lease to run out.
CREATE TABLE node_epochs (
    node_id     text COLLATE "C" NOT NULL REFERENCES nodes ON DELETE CASCADE,
    -- Of the process: a name may be taken by another one later.
    started_at  timestamptz NOT NULL,
    -- Ids mean something only within one incarnation.
    incarnation text NOT NULL,
    epoch       bigint NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (node_id, started_at, incarnation, epoch)
);

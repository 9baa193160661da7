-- Tombstones are listed by pages, the newest change first; the index by epoch alone is the beginning of this one.
CREATE INDEX tombstones_page ON tombstones (tenant, epoch, kind, key);
DROP INDEX tombstones_epoch;

-- Those that have expired are deleted.
CREATE INDEX tombstones_expiry ON tombstones (expires_at) WHERE expires_at IS NOT NULL;

-- Lists of active users, kept for when none can be computed. What a list was computed of stands beside it: it is served only by
-- the same model, policy and purges, and only while its user is at that version and allows it. One of a user and a surface.
CREATE TABLE precomputed_lists (
    user_number bigint NOT NULL REFERENCES user_state (number) ON DELETE CASCADE,
    surface     text COLLATE "C" NOT NULL,
    tenant      integer NOT NULL REFERENCES tenants,
    model       bigint NOT NULL,
    policy      text COLLATE "C" NOT NULL,
    -- The last purge before it that was of its tenant, surface, model or policy.
    generation  bigint NOT NULL,
    version     bigint NOT NULL,
    computed_at timestamptz NOT NULL,
    pool        bytea NOT NULL,
    PRIMARY KEY (user_number, surface)
);
-- Two kilobytes that do not compress are better in the row than beside it.
ALTER TABLE precomputed_lists ALTER COLUMN pool SET STORAGE MAIN;
CREATE INDEX precomputed_lists_age ON precomputed_lists (tenant, surface, computed_at);

-- Who takes the consent back, by whatever way, leaves none behind.
CREATE FUNCTION forget_precomputed_lists() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM precomputed_lists WHERE user_number = NEW.number;
    RETURN NULL;
END $$;
CREATE TRIGGER user_state_consent AFTER UPDATE OF consent ON user_state
    FOR EACH ROW WHEN (OLD.consent AND NOT NEW.consent) EXECUTE FUNCTION forget_precomputed_lists();

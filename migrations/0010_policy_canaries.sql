-- A version that serves a share of the users beside the active one, in hundredths of a percent. A row with a canary names the
-- active version and keeps its `before`: a canary is no step of rollbacks.
ALTER TABLE policy_activations
    ADD COLUMN canary text COLLATE "C",
    ADD COLUMN share  integer NOT NULL DEFAULT 0 CHECK (share BETWEEN 0 AND 9999),
    ADD CONSTRAINT policy_activations_canary CHECK ((canary IS NULL) = (share = 0));

-- How often a key may be used, on all nodes together: calls a second in the long run, and at once; NULL: as often as may be.
ALTER TABLE api_keys
    ADD COLUMN rate_limit integer CHECK (rate_limit BETWEEN 1 AND 1000000),
    ADD COLUMN rate_burst integer CHECK (rate_burst BETWEEN 1 AND 1000000),
    ADD CONSTRAINT api_keys_rate_check CHECK ((rate_limit IS NULL) = (rate_burst IS NULL));

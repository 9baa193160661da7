-- A list that is paged through stays as it was, but for what ends it.

-- The version of a user's last change of consent, suppressions or history as a whole: what no earlier page may outlive.
ALTER TABLE user_state ADD COLUMN changed bigint NOT NULL DEFAULT 0;
-- The last change of the control log that took a model or a policy out of service again.
ALTER TABLE tenants ADD COLUMN withdrawn bigint NOT NULL DEFAULT 0;

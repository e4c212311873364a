-- When a session's phone last gave a sign of life, which is not when its device did.
ALTER TABLE sessions ADD COLUMN phone_seen_at INTEGER;

-- Which other session has the number of a phone that was refused.
ALTER TABLE sessions ADD COLUMN link_holder TEXT NOT NULL DEFAULT '';

-- When a session's phone last gave a sign of life, which is not when its device did.
ALTER TABLE sessions ADD COLUMN phone_seen_at INTEGER;

-- The proxies of sessions. id is session and name with a slash between them; sealed is an envelope that nothing here can open.
CREATE TABLE egresses (
    id         TEXT PRIMARY KEY,
    revision   INTEGER NOT NULL,
    session    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    shown      TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    updated_at INTEGER
) STRICT;

CREATE INDEX egresses_by_session ON egresses (session);

-- A password does not outlive its session.
CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions BEGIN
    DELETE FROM egresses WHERE session = OLD.id;
END;

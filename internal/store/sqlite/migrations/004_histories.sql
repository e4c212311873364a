-- What happened to the connections of sessions: the last entries of each, as JSON.
CREATE TABLE histories (
    session  TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    entries  TEXT    NOT NULL
) STRICT;

CREATE TRIGGER histories_of_deleted_sessions AFTER DELETE ON sessions BEGIN
    DELETE FROM histories WHERE session = OLD.id;
END;

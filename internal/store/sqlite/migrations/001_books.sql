-- The books: sessions, campaigns and their deliveries, suppressions, and the answers to idempotent requests.
--
-- Times are unix milliseconds in UTC; NULL is a time that has not come. Lists, maps and the like are JSON. A campaign has a short number
-- beside its id, because its deliveries and their indexes repeat it a million times.
--
-- A released migration is never altered: what changes is added in the next file.

CREATE TABLE sessions (
    id              TEXT PRIMARY KEY,
    revision        INTEGER NOT NULL,
    user_id         TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    paused_until    INTEGER,
    device_jid      TEXT    NOT NULL,
    device_lid      TEXT    NOT NULL,
    device_phone    TEXT    NOT NULL,
    egress          TEXT    NOT NULL,
    created_at      INTEGER,
    updated_at      INTEGER,
    linked_at       INTEGER,
    link_id         TEXT    NOT NULL,
    link_method     TEXT    NOT NULL,
    link_phone      TEXT    NOT NULL,
    link_state      TEXT    NOT NULL,
    link_reason     TEXT    NOT NULL,
    link_qr_index   INTEGER NOT NULL,
    link_deadline   INTEGER,
    link_queued_at  INTEGER,
    link_started_at INTEGER,
    link_ended_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_state ON sessions (state, id);
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE INDEX sessions_by_user_and_state ON sessions (user_id, state, id);

-- The state stands before the text, so that the question asked before each message reads no more than the head of the row.
CREATE TABLE campaigns (
    number     INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    state      TEXT    NOT NULL,
    revision   INTEGER NOT NULL,
    session_id TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    resume_at  INTEGER,
    planned    INTEGER NOT NULL,
    rejected   INTEGER NOT NULL,
    slice      INTEGER NOT NULL,
    created_at INTEGER,
    updated_at INTEGER,
    started_at INTEGER,
    ended_at   INTEGER,
    columns    TEXT    NOT NULL,
    text       TEXT    NOT NULL
) STRICT;

CREATE INDEX campaigns_by_state ON campaigns (state, id);
CREATE INDEX campaigns_by_user ON campaigns (user_id, id);
CREATE INDEX campaigns_by_user_and_state ON campaigns (user_id, state, id);
CREATE INDEX campaigns_by_session ON campaigns (session_id, id);
CREATE INDEX campaigns_by_session_and_state ON campaigns (session_id, state, id);

-- rank is campaign.DeliveryState.Rank; a test keeps the two equal. A state that it does not know cannot be stored.
CREATE TABLE deliveries (
    number       INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    campaign     INTEGER NOT NULL REFERENCES campaigns (number),
    sequence     INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    rank         INTEGER NOT NULL GENERATED ALWAYS AS (CASE state
        WHEN 'pending'   THEN 0
        WHEN 'sending'   THEN 1
        WHEN 'unknown'   THEN 2
        WHEN 'failed'    THEN 3
        WHEN 'skipped'   THEN 4
        WHEN 'sent'      THEN 5
        WHEN 'delivered' THEN 6
        WHEN 'read'      THEN 7
    END) VIRTUAL,
    run          TEXT    NOT NULL,
    attempts     INTEGER NOT NULL,
    planned_at   INTEGER,
    sent_at      INTEGER,
    delivered_at INTEGER,
    read_at      INTEGER,
    updated_at   INTEGER,
    class        TEXT    NOT NULL,
    code         TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    phone        TEXT    NOT NULL,
    fields       TEXT    NOT NULL,
    UNIQUE (campaign, sequence)
) STRICT;

CREATE INDEX deliveries_by_state ON deliveries (campaign, state, sequence);
-- What is in hand or was left in hand. It holds every column that the choice of leftovers needs, so that a run that looks for them before
-- each batch reads no row.
CREATE INDEX deliveries_open ON deliveries (campaign, sequence, run, attempts, state) WHERE state IN ('sending', 'unknown');

-- How many deliveries of a campaign are in each state. Triggers keep it, so that no way of writing can forget it, and the progress of a
-- campaign of a million costs as much as that of one of ten. Zeros stay.
CREATE TABLE delivery_counts (
    campaign INTEGER NOT NULL REFERENCES campaigns (number),
    state    TEXT    NOT NULL,
    total    INTEGER NOT NULL,
    PRIMARY KEY (campaign, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER deliveries_inserted AFTER INSERT ON deliveries BEGIN
    INSERT INTO delivery_counts (campaign, state, total) VALUES (NEW.campaign, NEW.state, 1)
        ON CONFLICT (campaign, state) DO UPDATE SET total = total + 1;
END;

CREATE TRIGGER deliveries_changed AFTER UPDATE OF state ON deliveries WHEN OLD.state <> NEW.state BEGIN
    UPDATE delivery_counts SET total = total - 1 WHERE campaign = OLD.campaign AND state = OLD.state;
    INSERT INTO delivery_counts (campaign, state, total) VALUES (NEW.campaign, NEW.state, 1)
        ON CONFLICT (campaign, state) DO UPDATE SET total = total + 1;
END;

CREATE TRIGGER deliveries_deleted AFTER DELETE ON deliveries BEGIN
    UPDATE delivery_counts SET total = total - 1 WHERE campaign = OLD.campaign AND state = OLD.state;
END;

CREATE TABLE rejections (
    campaign     INTEGER NOT NULL REFERENCES campaigns (number),
    row          INTEGER NOT NULL,
    column_name  TEXT    NOT NULL,
    column_value TEXT    NOT NULL,
    code         TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    PRIMARY KEY (campaign, row)
) STRICT, WITHOUT ROWID;

CREATE TABLE suppressions (
    phone      TEXT PRIMARY KEY,
    reason     TEXT NOT NULL,
    source     TEXT NOT NULL,
    created_at INTEGER
) STRICT, WITHOUT ROWID;

-- status is 0 while the request is in progress.
CREATE TABLE idempotency (
    key          TEXT    NOT NULL UNIQUE,
    fingerprint  TEXT    NOT NULL,
    begun_at     INTEGER NOT NULL,
    status       INTEGER NOT NULL,
    content_type TEXT    NOT NULL,
    body         BLOB    NOT NULL
) STRICT;

CREATE INDEX idempotency_by_age ON idempotency (begun_at);

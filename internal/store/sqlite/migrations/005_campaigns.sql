-- How a campaign is sent, beside its text: variants, media, limits, hours, schedule. JSON of campaign.Settings.
ALTER TABLE campaigns ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

-- A recipient may answer, which proves more than a receipt. The generated column is made anew with the state's rank.
ALTER TABLE deliveries ADD COLUMN replied_at INTEGER;
ALTER TABLE deliveries DROP COLUMN rank;
ALTER TABLE deliveries ADD COLUMN rank INTEGER GENERATED ALWAYS AS (CASE state
    WHEN 'pending'   THEN 0
    WHEN 'sending'   THEN 1
    WHEN 'unknown'   THEN 2
    WHEN 'failed'    THEN 3
    WHEN 'skipped'   THEN 4
    WHEN 'sent'      THEN 5
    WHEN 'delivered' THEN 6
    WHEN 'read'      THEN 7
    WHEN 'replied'   THEN 8
END) VIRTUAL CHECK (rank IS NOT NULL);

-- Records that are only asked for by name: store.Documents.
CREATE TABLE documents (
    folder     TEXT NOT NULL,
    id         TEXT NOT NULL,
    expires_at INTEGER,
    data       BLOB NOT NULL,
    UNIQUE (folder, id)
) STRICT;

CREATE INDEX documents_by_expiry ON documents (expires_at) WHERE expires_at IS NOT NULL;

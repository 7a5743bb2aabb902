CREATE TABLE changeset (
    rev INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,
    term INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    step INTEGER NOT NULL,
    undoes INTEGER,
    undoable INTEGER NOT NULL CHECK (undoable IN (0, 1)),
    bytes_before INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    changeset BLOB NOT NULL
) STRICT;
CREATE INDEX changeset_undoable ON changeset (rev) WHERE undoable;
ALTER TABLE audit ADD COLUMN rev INTEGER;
CREATE INDEX audit_rev ON audit (rev) WHERE rev IS NOT NULL;
CREATE TABLE table_digest (
    name TEXT PRIMARY KEY,
    rows INTEGER NOT NULL CHECK (rows >= 0),
    sum BLOB NOT NULL CHECK (length(sum) = 32)
) STRICT, WITHOUT ROWID;
CREATE TABLE backup (
    name TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE published_service (
    delivery_service INTEGER PRIMARY KEY REFERENCES delivery_service (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;
ALTER TABLE api_token ADD COLUMN role TEXT NOT NULL DEFAULT 'admin' CHECK (role IN ('admin', 'operator', 'viewer'));
ALTER TABLE api_token ADD COLUMN services TEXT;
ALTER TABLE user ADD COLUMN role TEXT NOT NULL DEFAULT 'admin' CHECK (role IN ('admin', 'operator', 'viewer'));

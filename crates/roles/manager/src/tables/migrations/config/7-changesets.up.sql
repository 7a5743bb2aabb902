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
    changeset BLOB NOT NULL
) STRICT;
CREATE INDEX changeset_undoable ON changeset (rev) WHERE undoable;
ALTER TABLE audit ADD COLUMN rev INTEGER;
CREATE INDEX audit_rev ON audit (rev) WHERE rev IS NOT NULL;

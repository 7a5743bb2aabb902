CREATE TABLE changeset (
    rev INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,
    term INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    step INTEGER NOT NULL,
    undoes INTEGER,
    changeset BLOB NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
ALTER TABLE audit ADD COLUMN rev INTEGER;
CREATE INDEX audit_rev ON audit (rev) WHERE rev IS NOT NULL;

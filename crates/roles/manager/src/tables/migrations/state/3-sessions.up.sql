
CREATE TABLE session (
    token_sha256 TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    csrf TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    source TEXT NOT NULL
) STRICT, WITHOUT ROWID;


CREATE TABLE series_minute (
    at_ms INTEGER NOT NULL,
    device TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('manager', 'router', 'engine')),
    sessions INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    client_bytes INTEGER NOT NULL,
    origin_bytes INTEGER NOT NULL,
    PRIMARY KEY (at_ms, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE series_hour (
    at_ms INTEGER NOT NULL,
    device TEXT NOT NULL,
    minute_client_bytes INTEGER NOT NULL,
    PRIMARY KEY (at_ms, device)
) STRICT, WITHOUT ROWID;

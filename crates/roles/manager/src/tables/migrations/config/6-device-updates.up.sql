CREATE TABLE device_update (
    device INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    number INTEGER NOT NULL UNIQUE,
    term INTEGER NOT NULL,
    file INTEGER NOT NULL,
    version TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    archive_sha256 TEXT NOT NULL,
    archive_bytes INTEGER NOT NULL CHECK (archive_bytes > 0),
    auto_reload INTEGER NOT NULL CHECK (auto_reload IN (0, 1)),
    leave TEXT NOT NULL CHECK (leave IN ('drained', 'handed_over')),
    reload INTEGER NOT NULL CHECK (reload IN (0, 1)),
    cancelled INTEGER NOT NULL CHECK (cancelled IN (0, 1)),
    overrides INTEGER NOT NULL CHECK (overrides IN (0, 1)),
    at_ms INTEGER NOT NULL,
    assigned_by TEXT NOT NULL,
    outcome TEXT,
    ended_ms INTEGER,
    CHECK ((outcome IS NULL) = (ended_ms IS NULL))
) STRICT;
CREATE TABLE device_image (
    device INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    manifest_sha256 TEXT NOT NULL,
    version TEXT NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE unburned (
    device INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    manifest_sha256 TEXT NOT NULL,
    PRIMARY KEY (device, manifest_sha256)
) STRICT, WITHOUT ROWID;

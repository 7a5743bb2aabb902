
CREATE TABLE last_report (
    device TEXT PRIMARY KEY,
    received_ms INTEGER NOT NULL,
    crashed_ms INTEGER,
    report TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reason TEXT NOT NULL,
    device TEXT NOT NULL,
    object TEXT NOT NULL,
    text TEXT NOT NULL,
    raised_ms INTEGER NOT NULL,
    acknowledged_ms INTEGER,
    acknowledged_by TEXT,
    cleared_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX alarm_standing ON alarm (reason, device, object) WHERE cleared_ms IS NULL;


ALTER TABLE device ADD COLUMN capacity_mbps INTEGER CHECK (capacity_mbps BETWEEN 1 AND 10000000);
CREATE TABLE offload (
    device INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    since_ms INTEGER NOT NULL,
    clients_generation INTEGER NOT NULL,
    peers_generation INTEGER
) STRICT;
CREATE TABLE offload_lease (
    device INTEGER NOT NULL REFERENCES offload (device) ON DELETE CASCADE,
    owner TEXT NOT NULL CHECK (owner IN ('operator', 'rollout', 'fault')),
    why TEXT NOT NULL,
    taken_by TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    overrides INTEGER NOT NULL CHECK (overrides IN (0, 1)),
    PRIMARY KEY (device, owner)
) STRICT, WITHOUT ROWID;

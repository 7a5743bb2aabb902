
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE keepalive_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    secret TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE location (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    parent INTEGER REFERENCES location (id),
    revision INTEGER NOT NULL
) STRICT;
CREATE INDEX location_parent ON location (parent);
CREATE TABLE device (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('manager', 'router', 'engine')),
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    location INTEGER REFERENCES location (id),
    weight INTEGER NOT NULL CHECK (weight BETWEEN 0 AND 100),
    activated_generation INTEGER NOT NULL,
    addresses TEXT NOT NULL,
    public_key_sha256 TEXT NOT NULL,
    certificate_sha256 TEXT NOT NULL,
    enrolled_with TEXT NOT NULL,
    enrolled_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;
CREATE INDEX device_location ON device (location);
CREATE TABLE delivery_service (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    domain TEXT NOT NULL UNIQUE,
    origin TEXT NOT NULL,
    every_engine INTEGER NOT NULL CHECK (every_engine IN (0, 1)),
    default_ttl_seconds INTEGER,
    max_ttl_seconds INTEGER,
    ignore_query INTEGER NOT NULL CHECK (ignore_query IN (0, 1)),
    store_set_cookie INTEGER NOT NULL CHECK (store_set_cookie IN (0, 1)),
    revision INTEGER NOT NULL
) STRICT;
CREATE TABLE delivery_service_engine (
    delivery_service INTEGER NOT NULL REFERENCES delivery_service (id) ON DELETE CASCADE,
    engine INTEGER NOT NULL REFERENCES device (id),
    PRIMARY KEY (delivery_service, engine)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_service_engine_engine ON delivery_service_engine (engine);
CREATE TABLE coverage_zone (
    network TEXT NOT NULL,
    location INTEGER NOT NULL REFERENCES location (id),
    metric INTEGER NOT NULL,
    PRIMARY KEY (network, location)
) STRICT, WITHOUT ROWID;
CREATE INDEX coverage_zone_location ON coverage_zone (location);
CREATE TABLE enrolment_token (
    id TEXT PRIMARY KEY,
    secret_sha256 TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('manager', 'router', 'engine')),
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    expires_ms INTEGER NOT NULL,
    activate_into INTEGER REFERENCES location (id),
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE api_token (
    id TEXT PRIMARY KEY,
    secret_sha256 TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    expires_ms INTEGER,
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,
    verb TEXT NOT NULL,
    object TEXT NOT NULL,
    before TEXT,
    after TEXT,
    generation INTEGER NOT NULL
) STRICT;

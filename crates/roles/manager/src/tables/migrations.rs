//! Schema steps. A step that was released never changes; a change is another step.

use weir_database::Migration;

/// Steps of `config.db`.
pub(crate) const CONFIG: &[Migration] = &[
    Migration { id: 1, name: "first schema", up_sql: CONFIG_FIRST },
    Migration { id: 2, name: "server offload", up_sql: CONFIG_OFFLOAD },
    Migration { id: 3, name: "users", up_sql: CONFIG_USERS },
    Migration { id: 4, name: "audit by verb", up_sql: CONFIG_AUDIT_VERB },
];

const CONFIG_FIRST: &str = "
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
";

/// A device is out while it has a row in `offload`, which it has while it has one in `offload_lease`.
const CONFIG_OFFLOAD: &str = "
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
";

/// Steps of `state.db`.
pub(crate) const STATE: &[Migration] = &[
    Migration { id: 1, name: "first schema", up_sql: STATE_FIRST },
    Migration { id: 2, name: "series", up_sql: STATE_SERIES },
    Migration { id: 3, name: "sessions", up_sql: STATE_SESSIONS },
    Migration { id: 4, name: "sign-ins and the network's minutes", up_sql: STATE_SIGN_INS },
];

const STATE_FIRST: &str = "
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
";

/// `minute_client_bytes` is the most bytes a device sent to clients in one minute of the hour.
const STATE_SERIES: &str = "
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
";

const CONFIG_USERS: &str = "
CREATE TABLE user (
    name TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,
    must_change INTEGER NOT NULL CHECK (must_change IN (0, 1)),
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

const STATE_SESSIONS: &str = "
CREATE TABLE session (
    token_sha256 TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    csrf TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    source TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Refused sign-ins are counted and trimmed by their verb.
const CONFIG_AUDIT_VERB: &str = "CREATE INDEX audit_verb ON audit (verb);";

/// `password_sha256` is of the hash that was proven; a session from before has none and is over. `sign_in_place` is where users
/// signed in from. `series_network` holds what all engines did together, a row for each minute there is in `series_minute`.
const STATE_SIGN_INS: &str = "
ALTER TABLE session ADD COLUMN password_sha256 TEXT NOT NULL DEFAULT '';
CREATE TABLE sign_in_place (
    user TEXT NOT NULL,
    place TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (user, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE series_network (
    at_ms INTEGER PRIMARY KEY,
    sessions INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    client_bytes INTEGER NOT NULL,
    origin_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO series_network (at_ms, sessions, requests, client_bytes, origin_bytes)
    SELECT at_ms, sum(sessions), sum(requests), sum(client_bytes), sum(origin_bytes) FROM series_minute WHERE role = 'engine' GROUP BY at_ms;
";

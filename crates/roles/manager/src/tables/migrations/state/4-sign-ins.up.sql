
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

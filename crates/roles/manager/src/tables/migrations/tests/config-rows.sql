INSERT INTO setting (name, value) VALUES ('term', '1'), ('network', 'a network');
INSERT INTO keepalive_key (secret, created_ms) VALUES ('00', 1);
INSERT INTO location (name, parent, revision) VALUES ('top', NULL, 1), ('below', 1, 2), ('gone', NULL, 1);
DELETE FROM location WHERE name = 'gone';
INSERT INTO device (name, role, active, location, weight, activated_generation, addresses, public_key_sha256, certificate_sha256, enrolled_with, enrolled_ms, revision, capacity_mbps)
    VALUES ('cdsm', 'manager', 1, NULL, 0, 1, '{}', '', '', '', 1, 1, NULL), ('engine-1', 'engine', 1, 2, 50, 1, '{}', 'aa', 'bb', 't', 2, 3, 1000);
INSERT INTO offload (device, since_ms, clients_generation, peers_generation) VALUES (2, 5, 3, NULL);
INSERT INTO offload_lease (device, owner, why, taken_by, since_ms, expires_ms, overrides) VALUES (2, 'operator', 'works', 'somebody', 5, NULL, 0);
INSERT INTO delivery_service (name, domain, origin, every_engine, default_ttl_seconds, max_ttl_seconds, ignore_query, store_set_cookie, revision)
    VALUES ('vod', 'vod.example', 'http://origin.example', 0, NULL, 60, 1, 0, 1), ('live', 'live.example', 'http://origin.example', 1, 2, NULL, 0, 0, 4);
INSERT INTO delivery_service_engine (delivery_service, engine) VALUES (1, 2);
INSERT INTO coverage_zone (network, location, metric) VALUES ('192.0.2.0/24', 1, 10);
INSERT INTO api_token (id, secret_sha256, name, expires_ms, created_ms, created_by) VALUES ('t', 'cc', 'ci', NULL, 1, 'somebody');
INSERT INTO user (name, password_hash, must_change, created_ms, changed_ms) VALUES ('admin', '$hash', 0, 1, 1);
INSERT INTO audit (at_ms, actor, source, verb, object, before, after, generation) VALUES (1, 'manager', 'local', 'create', 'network', NULL, '{}', 1);
INSERT INTO enrolment_token (id, secret_sha256, role, uses_left, expires_ms, activate_into, created_ms, created_by) VALUES ('e', 'dd', 'engine', 1, 9, 1, 1, 'somebody');
INSERT INTO software_file (url, file_name, auto_reload, method, comment, state, checks, release, created_ms, created_by)
    VALUES ('https://releases.example/1.weir', NULL, 1, 'default', '', 'ready', '[]', '{}', 1, 'somebody'), (NULL, '2.weir', 0, 'default', 'by hand', 'draft', '[]', '{}', 2, 'somebody');
DELETE FROM software_file WHERE file_name = '2.weir';
INSERT INTO device_update (device, number, term, file, version, manifest_sha256, archive_sha256, archive_bytes, auto_reload, leave, reload, cancelled, overrides, at_ms, assigned_by, outcome, ended_ms)
    VALUES (2, 1, 1, 1, '1.1.0-b1', 'ee', 'ff', 10, 1, 'drained', 0, 0, 0, 5, 'somebody', 'successful', 6);
INSERT INTO device_image (device, manifest_sha256, version, since_ms) VALUES (2, 'ee', '1.1.0-b1', 6);
INSERT INTO unburned (device, manifest_sha256) VALUES (2, 'dd');
INSERT INTO changeset (rev, at_ms, actor, source, term, generation, step, undoes, undoable, bytes_before, hash, digest, changeset)
    VALUES (1, 1700000000000, 'user:admin', '127.0.0.1', 1, 2, 7, NULL, 1, 0, zeroblob(32), zeroblob(32), x'54'),
    (2, 1700000000001, 'user:admin', '127.0.0.1', 1, 3, 7, 1, 0, 1, zeroblob(32), zeroblob(32), x'');
INSERT INTO table_digest (name, rows, sum) VALUES ('setting', 2, zeroblob(32));
INSERT INTO backup (name, at_ms, actor, record) VALUES ('a-network-20260101T000000Z-r2.weirbackup', 1700000000002, 'schedule', '{}');
INSERT INTO published_service (delivery_service, generation, document) VALUES (1, 3, '{}');

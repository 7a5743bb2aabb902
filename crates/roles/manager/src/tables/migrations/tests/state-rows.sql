INSERT INTO last_report (device, received_ms, crashed_ms, report) VALUES ('engine-1', 5, NULL, '{}'), ('engine-2', 6, 4, '{}');
INSERT INTO alarm (reason, device, object, text, raised_ms, acknowledged_ms, acknowledged_by, cleared_ms)
    VALUES ('DEVICE_SILENT', 'engine-1', '', 'one', 1, NULL, NULL, NULL), ('DEVICE_SILENT', 'engine-1', '', 'two', 1, 2, 'somebody', 3);
INSERT INTO series_minute (at_ms, device, role, sessions, requests, client_bytes, origin_bytes) VALUES (60000, 'engine-1', 'engine', 1, 2, 3, 4), (60000, 'router-1', 'router', 0, 2, 0, 0);
INSERT INTO series_hour (at_ms, device, minute_client_bytes) VALUES (0, 'engine-1', 3);
INSERT INTO session (token_sha256, user, csrf, created_ms, seen_ms, source) VALUES ('aa', 'admin', 'bb', 1, 2, '192.0.2.1');
INSERT INTO sign_in_place (user, place, at_ms) VALUES ('admin', '192.0.2.0/24', 1);
INSERT INTO series_network (at_ms, sessions, requests, client_bytes, origin_bytes) VALUES (60000, 1, 2, 3, 4);

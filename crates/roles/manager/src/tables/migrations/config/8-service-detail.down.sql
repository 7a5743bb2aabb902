CREATE TABLE attic_8_delivery_service (id INTEGER PRIMARY KEY, detail TEXT NOT NULL) STRICT;
INSERT INTO attic_8_delivery_service (id, detail) SELECT id, detail FROM delivery_service WHERE detail IS NOT NULL;
ALTER TABLE delivery_service DROP COLUMN detail;

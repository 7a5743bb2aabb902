ALTER TABLE delivery_service ADD COLUMN detail TEXT;
CREATE TABLE IF NOT EXISTS attic_8_delivery_service (id INTEGER PRIMARY KEY, detail TEXT NOT NULL) STRICT;
UPDATE delivery_service SET detail = attic.detail FROM attic_8_delivery_service AS attic WHERE attic.id = delivery_service.id;
DROP TABLE attic_8_delivery_service;

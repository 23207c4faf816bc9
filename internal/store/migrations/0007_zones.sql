-- Zones are domains of the operator's own, on whose hosts workers answer by routes
-- and as custom domains. Both go with their script and with their zone.
CREATE TABLE zones (
  id         TEXT PRIMARY KEY, -- 32 hex
  account_id TEXT NOT NULL,
  name       TEXT NOT NULL UNIQUE, -- lower case
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE zone_routes (
  id         TEXT PRIMARY KEY, -- 32 hex
  zone_id    TEXT NOT NULL REFERENCES zones ON DELETE CASCADE,
  pattern    TEXT NOT NULL, -- as it was given
  canonical  TEXT NOT NULL, -- equal patterns have the same
  script_id  TEXT REFERENCES scripts ON DELETE CASCADE, -- NULL: no worker, whatever else matches
  created_at INTEGER NOT NULL,
  UNIQUE (zone_id, canonical)
) STRICT;
CREATE INDEX zone_routes_by_script ON zone_routes (script_id);

CREATE TABLE custom_domains (
  id          TEXT PRIMARY KEY, -- 32 hex
  zone_id     TEXT NOT NULL REFERENCES zones ON DELETE CASCADE,
  hostname    TEXT NOT NULL UNIQUE, -- lower case
  script_id   TEXT NOT NULL REFERENCES scripts ON DELETE CASCADE,
  enabled     INTEGER NOT NULL,
  created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX custom_domains_by_script ON custom_domains (script_id);
CREATE INDEX custom_domains_by_zone ON custom_domains (zone_id);

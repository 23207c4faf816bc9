-- Databases of apps. Their contents are files of their own, in a folder named by the id.

CREATE TABLE d1_databases (
  id         TEXT PRIMARY KEY, -- UUID
  account_id TEXT NOT NULL,
  name       TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  durability TEXT NOT NULL,              -- full, normal
  opened     INTEGER NOT NULL DEFAULT 0, -- how often the file was opened; bookmarks begin with it
  UNIQUE (account_id, name)
) STRICT;
CREATE INDEX d1_databases_by_time ON d1_databases (account_id, created_at);

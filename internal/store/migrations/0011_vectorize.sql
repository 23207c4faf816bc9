-- Vector indexes. Their contents are files of their own, in a folder named by the id.

CREATE TABLE vectorize_indexes (
  id          TEXT PRIMARY KEY, -- UUID
  account_id  TEXT NOT NULL,
  name        TEXT NOT NULL,
  description TEXT NOT NULL,
  dimensions  INTEGER NOT NULL,
  metric      TEXT NOT NULL,
  preset      TEXT NOT NULL, -- '' for none
  version     TEXT NOT NULL, -- v1, v2: what API made it
  created_at  INTEGER NOT NULL,
  modified_at INTEGER NOT NULL,
  UNIQUE (account_id, name)
) STRICT;

-- Names that had an index, so that those who still ask for it are told.
CREATE TABLE vectorize_deleted (
  account_id TEXT NOT NULL,
  name       TEXT NOT NULL,
  deleted_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

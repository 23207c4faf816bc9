-- Durable Objects. A namespace is the data of one class; its id makes the ids
-- of its objects and names the folder of their files, so it never changes.

ALTER TABLE scripts ADD COLUMN migration_tag TEXT NOT NULL DEFAULT '';

CREATE TABLE object_namespaces (
  id          TEXT PRIMARY KEY, -- 32 hex
  account_id  TEXT NOT NULL,
  script_id   TEXT NOT NULL REFERENCES scripts ON DELETE CASCADE,
  class       TEXT NOT NULL,
  use_sqlite  INTEGER NOT NULL, -- the class may use storage.sql
  folder      TEXT NOT NULL,    -- id of the script below whose folder the data lies
  transfer_to TEXT,             -- name of the script that may take it over
  created_at  INTEGER NOT NULL,
  UNIQUE (script_id, class)
) STRICT;
CREATE INDEX object_namespaces_by_account ON object_namespaces (account_id, created_at);

-- Every migration tag that was ever applied: none may come back.
CREATE TABLE object_migrations (
  script_id  TEXT NOT NULL REFERENCES scripts ON DELETE CASCADE,
  tag        TEXT NOT NULL,
  applied_at INTEGER NOT NULL,
  PRIMARY KEY (script_id, tag)
) STRICT, WITHOUT ROWID;

-- Which versions have a binding to which namespace.
CREATE TABLE object_bindings (
  version_id   TEXT NOT NULL REFERENCES versions ON DELETE CASCADE,
  namespace_id TEXT NOT NULL,
  PRIMARY KEY (version_id, namespace_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_bindings_by_namespace ON object_bindings (namespace_id);

-- Data whose namespace is gone, until it is gone too.
CREATE TABLE object_removals (
  namespace_id TEXT PRIMARY KEY,
  folder       TEXT NOT NULL,
  deleted_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- However a namespace goes, by a migration or with its script: its data goes too.
CREATE TRIGGER object_namespaces_deleted AFTER DELETE ON object_namespaces BEGIN
  INSERT INTO object_removals (namespace_id, folder, deleted_at) VALUES (old.id, old.folder, unixepoch() * 1000);
END;

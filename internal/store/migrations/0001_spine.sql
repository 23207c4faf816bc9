-- Control-plane state of one data directory. Times are unix milliseconds.
-- STRICT: a value of the wrong type is an error here and not a surprise later.

PRAGMA application_id = 0x736c7667; -- "slvg": tells our file from somebody else's

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  subdomain  TEXT NOT NULL UNIQUE,
  email      TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
  id           TEXT PRIMARY KEY,
  account_id   TEXT NOT NULL REFERENCES accounts,
  name         TEXT NOT NULL,
  hash         BLOB NOT NULL UNIQUE, -- SHA-256 of the secret, which is kept nowhere
  scopes       TEXT NOT NULL,        -- JSON array
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER,
  last_used_at INTEGER,
  revoked_at   INTEGER
) STRICT;
CREATE INDEX tokens_by_account ON tokens (account_id, created_at);

CREATE TABLE scripts (
  id                TEXT PRIMARY KEY, -- 32 hex, the API's "tag"
  account_id        TEXT NOT NULL,
  name              TEXT NOT NULL,
  created_at        INTEGER NOT NULL,
  modified_at       INTEGER NOT NULL,
  subdomain_enabled INTEGER NOT NULL DEFAULT 1,
  previews_enabled  INTEGER NOT NULL DEFAULT 1,
  settings          TEXT NOT NULL DEFAULT '{}', -- JSON: what is not versioned
  next_version      INTEGER NOT NULL DEFAULT 1,
  UNIQUE (account_id, name)
) STRICT;

CREATE TABLE versions (
  id         TEXT PRIMARY KEY, -- UUID
  script_id  TEXT NOT NULL REFERENCES scripts ON DELETE CASCADE,
  number     INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  upload_key TEXT,             -- digest of the upload: a retry finds its first try
  document   TEXT NOT NULL,    -- JSON: all that is immutable about the version, sealed secrets included
  UNIQUE (script_id, number)
) STRICT;
CREATE INDEX versions_by_time ON versions (script_id, created_at);
CREATE INDEX versions_by_upload ON versions (script_id, upload_key) WHERE upload_key IS NOT NULL;

CREATE TABLE version_blobs (
  version_id TEXT NOT NULL REFERENCES versions ON DELETE CASCADE,
  blob_id    TEXT NOT NULL,
  PRIMARY KEY (version_id, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_blobs_by_blob ON version_blobs (blob_id);

CREATE TABLE deployments (
  id         TEXT PRIMARY KEY,
  script_id  TEXT NOT NULL REFERENCES scripts ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  sequence   INTEGER NOT NULL,
  document   TEXT NOT NULL, -- JSON: strategy, versions, annotations, source, author
  UNIQUE (script_id, sequence) -- also finds a script's latest
) STRICT;

CREATE TABLE asset_files (
  account_id   TEXT NOT NULL,
  hash         TEXT NOT NULL, -- wrangler's 32 hex
  blob_id      TEXT NOT NULL,
  size         INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (account_id, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX asset_files_by_blob ON asset_files (blob_id);

CREATE TABLE asset_sessions (
  id            TEXT PRIMARY KEY,
  account_id    TEXT NOT NULL,
  script        TEXT NOT NULL,
  manifest_blob TEXT NOT NULL,
  missing       INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX asset_sessions_by_expiry ON asset_sessions (expires_at);

CREATE TABLE asset_session_files (
  session_id TEXT NOT NULL REFERENCES asset_sessions ON DELETE CASCADE,
  hash       TEXT NOT NULL,
  size       INTEGER NOT NULL,
  present    INTEGER NOT NULL,
  PRIMARY KEY (session_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob_variants (
  blob_id    TEXT NOT NULL,
  encoding   TEXT NOT NULL, -- br, gzip, zstd
  variant_id TEXT NOT NULL, -- 'identity': compressing is not worth it
  size       INTEGER NOT NULL,
  PRIMARY KEY (blob_id, encoding)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_variants_by_variant ON blob_variants (variant_id);

CREATE TABLE preview_aliases (
  script_id  TEXT NOT NULL REFERENCES scripts ON DELETE CASCADE,
  alias      TEXT NOT NULL,
  version_id TEXT NOT NULL,
  PRIMARY KEY (script_id, alias)
) STRICT, WITHOUT ROWID;

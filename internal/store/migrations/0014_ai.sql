-- Models whose weights are here, in a folder of their own, and what they have been used for.

CREATE TABLE ai_models (
  name       TEXT PRIMARY KEY,
  kind       TEXT NOT NULL, -- as the catalogue names it
  folder     TEXT NOT NULL UNIQUE, -- below models/
  source     TEXT NOT NULL, -- hub:<repository>, or files
  revision   TEXT NOT NULL, -- of the repository, as it was pulled; '' for files
  license    TEXT NOT NULL,
  size       INTEGER NOT NULL, -- bytes of all files
  files      TEXT NOT NULL, -- JSON: path, size and sha256 of each
  created_at INTEGER NOT NULL
) STRICT;

-- One row for each hour, model and who used it.
CREATE TABLE ai_usage (
  account_id  TEXT NOT NULL,
  hour        INTEGER NOT NULL, -- Unix time in hours
  subject     TEXT NOT NULL, -- worker:<script> or token:<id>
  model       TEXT NOT NULL,
  requests    INTEGER NOT NULL,
  failed      INTEGER NOT NULL, -- of these
  tokens_in   INTEGER NOT NULL,
  tokens_out  INTEGER NOT NULL,
  neurons     INTEGER NOT NULL, -- millionths
  PRIMARY KEY (account_id, hour, subject, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE ai_limits (
  account_id TEXT NOT NULL,
  subject    TEXT NOT NULL, -- account, worker:<script> or *, token:<id> or *
  limits     TEXT NOT NULL, -- JSON
  PRIMARY KEY (account_id, subject)
) STRICT, WITHOUT ROWID;

-- What the statements of D1 databases did, by hour, and the requests that ran one of them in a loop.

ALTER TABLE d1_databases ADD COLUMN read_replication TEXT NOT NULL DEFAULT 'disabled'; -- auto, disabled

CREATE TABLE d1_statements (
  id          INTEGER PRIMARY KEY,
  database_id TEXT NOT NULL REFERENCES d1_databases (id) ON DELETE CASCADE,
  text        TEXT NOT NULL,    -- the normal form; '' for those that are not told apart
  sample      TEXT NOT NULL,    -- as it ran once, to explain it; '' when it is too long
  writes      INTEGER NOT NULL, -- 0, 1
  UNIQUE (database_id, text)
) STRICT;

CREATE TABLE d1_statement_hours (
  statement_id  INTEGER NOT NULL REFERENCES d1_statements (id) ON DELETE CASCADE,
  hour          INTEGER NOT NULL, -- since 1970
  runs          INTEGER NOT NULL,
  micros        INTEGER NOT NULL,
  rows_read     INTEGER NOT NULL,
  rows_written  INTEGER NOT NULL,
  rows_returned INTEGER NOT NULL,
  durations     BLOB NOT NULL, -- a histogram; see internal/d1/insights
  PRIMARY KEY (statement_id, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX d1_statement_hours_by_hour ON d1_statement_hours (hour);

CREATE TABLE d1_repeats (
  database_id TEXT NOT NULL REFERENCES d1_databases (id) ON DELETE CASCADE,
  script      TEXT NOT NULL,
  text        TEXT NOT NULL,    -- of the statement
  route       TEXT NOT NULL,    -- method and path of the last request; '' when it had none
  ray         TEXT NOT NULL,    -- of the last request
  most        INTEGER NOT NULL, -- calls of one request
  requests    INTEGER NOT NULL,
  last_at     INTEGER NOT NULL, -- ms
  PRIMARY KEY (database_id, script, text)
) STRICT, WITHOUT ROWID;

-- Builds: what was pushed to the platform with git, and what became of it.

CREATE TABLE builds (
  id          TEXT PRIMARY KEY,  -- UUID
  account_id  TEXT NOT NULL,
  project_id  TEXT NOT NULL,     -- of a site
  project     TEXT NOT NULL,     -- its name
  branch      TEXT NOT NULL,
  commit_hash TEXT NOT NULL,
  status      TEXT NOT NULL,     -- queued, running, success, failure, canceled, superseded, skipped
  attempts    INTEGER NOT NULL DEFAULT 0, -- how often it was begun
  document    TEXT NOT NULL,     -- JSON: message, stages, deployment, log
  created_at  INTEGER NOT NULL,
  seq         INTEGER NOT NULL   -- the order in which they came
) STRICT;
CREATE INDEX builds_by_project ON builds (project_id, seq);
CREATE INDEX builds_open ON builds (status, seq) WHERE status IN ('queued', 'running');

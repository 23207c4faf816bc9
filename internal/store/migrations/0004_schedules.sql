-- When a script's scheduled handler runs. A row is claimed, by last_run, before
-- its tick runs: so a tick runs at most once, across restarts too.
CREATE TABLE schedules (
  script_id  TEXT NOT NULL REFERENCES scripts ON DELETE CASCADE,
  cron       TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_run   INTEGER NOT NULL DEFAULT 0, -- the minute of the last tick that was claimed
  PRIMARY KEY (script_id, cron)
) STRICT, WITHOUT ROWID;

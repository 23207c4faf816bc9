-- Hosts of the operator's own at which sites answer.

CREATE TABLE pages_domains (
  id         TEXT PRIMARY KEY, -- UUID
  project_id TEXT NOT NULL REFERENCES pages_projects ON DELETE CASCADE,
  hostname   TEXT NOT NULL UNIQUE, -- lower case; "*.x" for a branch or a deployment before x
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX pages_domains_by_project ON pages_domains (project_id, hostname);

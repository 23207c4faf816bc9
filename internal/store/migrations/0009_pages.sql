-- Pages: sites, what was deployed of them, and which of it serves.

CREATE TABLE pages_projects (
  id            TEXT PRIMARY KEY, -- UUID
  account_id    TEXT NOT NULL,
  name          TEXT NOT NULL UNIQUE, -- a label of hostnames, which have no account in them
  branch        TEXT NOT NULL,        -- whose deployments are for production
  settings      TEXT NOT NULL,        -- JSON; secrets sealed
  production_id TEXT,                 -- the deployment that serves; NULL: none yet
  next_number   INTEGER NOT NULL DEFAULT 1,
  created_at    INTEGER NOT NULL,
  modified_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX pages_projects_by_account ON pages_projects (account_id, name);

CREATE TABLE pages_deployments (
  id            TEXT PRIMARY KEY, -- UUID; its first eight digits are the label of its own host
  project_id    TEXT NOT NULL REFERENCES pages_projects ON DELETE CASCADE,
  number        INTEGER NOT NULL, -- 1, 2, … within the project
  short         TEXT NOT NULL,
  environment   TEXT NOT NULL,    -- production, preview
  alias         TEXT NOT NULL,    -- the branch as a label
  succeeded     INTEGER NOT NULL,
  manifest      TEXT NOT NULL,    -- blob: JSON of assets.Manifest
  version_id    TEXT,             -- the Functions, a version of the workers service; NULL: none
  retired_at    INTEGER,          -- when it last ceased to be the one of production
  document      TEXT NOT NULL,    -- JSON: all that is immutable about it, sealed secrets included
  created_at    INTEGER NOT NULL,
  UNIQUE (project_id, number),
  UNIQUE (project_id, short)
) STRICT;
CREATE INDEX pages_deployments_by_alias ON pages_deployments (project_id, alias, number) WHERE succeeded;
CREATE INDEX pages_deployments_by_environment ON pages_deployments (project_id, environment, number);
CREATE INDEX pages_deployments_by_version ON pages_deployments (version_id) WHERE version_id IS NOT NULL;
CREATE INDEX pages_deployments_retired ON pages_deployments (project_id, retired_at) WHERE retired_at IS NOT NULL;

-- Contents whose hash is over an extension that is not known yet: it is in the
-- manifest of a deployment to come. Until then only their project has them.
CREATE TABLE pages_pending (
  project_id   TEXT NOT NULL REFERENCES pages_projects ON DELETE CASCADE,
  hash         TEXT NOT NULL,
  blob_id      TEXT NOT NULL,
  size         INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (project_id, hash)
) STRICT, WITHOUT ROWID;

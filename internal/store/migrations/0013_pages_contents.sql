-- Which contents the deployments of a site have, so that looking for those that nothing has any more costs what
-- was changed from one deployment to the next, and not deployments times files.

-- A blob is in every deployment of the project from number since to before number until.
CREATE TABLE pages_contents (
  project_id TEXT NOT NULL REFERENCES pages_projects ON DELETE CASCADE,
  blob_id    TEXT NOT NULL,
  since      INTEGER NOT NULL,
  until      INTEGER, -- NULL: and in the one made last
  PRIMARY KEY (project_id, blob_id, since)
) STRICT, WITHOUT ROWID;
CREATE INDEX pages_contents_latest ON pages_contents (project_id, blob_id) WHERE until IS NULL;

-- Whether what a deployment has is in pages_contents. Of older ones the manifest is read.
ALTER TABLE pages_deployments ADD COLUMN recorded INTEGER NOT NULL DEFAULT 0;
CREATE INDEX pages_deployments_unrecorded ON pages_deployments (manifest) WHERE recorded = 0;

-- Container images, as the OCI distribution specification has them. A blob's
-- content is in the blob store, once for all repositories; these rows say which
-- repository may show it.

CREATE TABLE registry_blobs (
  account_id TEXT NOT NULL,
  repository TEXT NOT NULL,
  digest     TEXT NOT NULL, -- SHA-256, 64 hex: also its id in the blob store
  size       INTEGER NOT NULL,
  created_at INTEGER NOT NULL, -- pushed or mounted last
  PRIMARY KEY (account_id, repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_blobs_by_digest ON registry_blobs (digest);

CREATE TABLE registry_manifests (
  account_id TEXT NOT NULL,
  repository TEXT NOT NULL,
  digest     TEXT NOT NULL,
  media_type TEXT NOT NULL,
  body       BLOB NOT NULL, -- as it was pushed: its digest is over these bytes
  created_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, repository, digest)
) STRICT;

-- What a manifest names: blobs of an image, manifests of an index.
CREATE TABLE registry_references (
  account_id TEXT NOT NULL,
  repository TEXT NOT NULL,
  manifest   TEXT NOT NULL,
  digest     TEXT NOT NULL,
  PRIMARY KEY (account_id, repository, manifest, digest),
  FOREIGN KEY (account_id, repository, manifest) REFERENCES registry_manifests ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_references_by_digest ON registry_references (account_id, repository, digest);

CREATE TABLE registry_tags (
  account_id TEXT NOT NULL,
  repository TEXT NOT NULL,
  tag        TEXT NOT NULL,
  digest     TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, repository, tag),
  FOREIGN KEY (account_id, repository, digest) REFERENCES registry_manifests ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_tags_by_digest ON registry_tags (account_id, repository, digest);

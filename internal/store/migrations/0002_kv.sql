-- KV namespaces. What is in them is in a database of each one's own.

CREATE TABLE kv_namespaces (
  id         TEXT PRIMARY KEY, -- 32 hex
  account_id TEXT NOT NULL,
  title      TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (account_id, title)
) STRICT;

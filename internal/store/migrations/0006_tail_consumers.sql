-- Finds the scripts that have tail workers without reading the others.
CREATE INDEX scripts_with_tail_consumers ON scripts (account_id, name) WHERE json_extract(settings, '$.tail_consumers') IS NOT NULL;

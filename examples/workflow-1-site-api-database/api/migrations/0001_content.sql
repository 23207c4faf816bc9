CREATE TABLE content (
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL,
  body TEXT NOT NULL,
  published INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX content_published ON content (created_at DESC) WHERE published;

INSERT INTO content (title, body, published, created_at) VALUES
  ('Opening hours in winter', 'From November on the reading room closes at five.', 1, '2026-10-28T09:00:00.000Z'),
  ('The new <shelves>', 'Maps & atlases moved to the first floor.', 1, '2026-11-03T09:00:00.000Z'),
  ('A draft', 'Nobody should see this yet.', 0, '2026-11-10T09:00:00.000Z');

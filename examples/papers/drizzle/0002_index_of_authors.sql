CREATE INDEX `paper_authors_author_idx` ON `paper_authors` (`author_id`);

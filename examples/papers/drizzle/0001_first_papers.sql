INSERT INTO `authors` (`id`, `name`) VALUES
	(1, 'Ada Moreau'), (2, 'Bo Lindqvist'), (3, 'Chidi Okafor'), (4, 'Dana Weiss'), (5, 'Emre Kaya');
--> statement-breakpoint
INSERT INTO `papers` (`id`, `title`, `year`, `tags`) VALUES
	(1, 'A log; and what to do with it', 2011, '["storage"]'),
	(2, 'Commits that travel together', 2012, '["storage","latency"]'),
	(3, 'Readers who do not wait', 2013, '[]'),
	(4, 'Counting rows honestly', 2014, '["measurement"]'),
	(5, 'The price of a round trip', 2015, '["latency"]'),
	(6, 'One query too many', 2016, '["latency"]'),
	(7, 'Plans of a planner', 2017, '[]'),
	(8, 'Indexes nobody asked for', 2018, '[]'),
	(9, 'What the disk said', 2019, '["storage"]'),
	(10, 'Time travel for the careful', 2020, '["storage"]'),
	(11, 'Small machines, large questions', 2021, '[]'),
	(12, 'It''s the tail that wags', 2022, '["latency","measurement"]');
--> statement-breakpoint
INSERT INTO `paper_authors` (`paper_id`, `author_id`, `position`)
	SELECT `id`, `id` % 5 + 1, 1 FROM `papers` UNION ALL SELECT `id`, (`id` + 2) % 5 + 1, 2 FROM `papers` WHERE `id` % 2 = 0;

import { relations, sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const authors = sqliteTable("authors", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  name: text("name").notNull().unique(),
});

export const papers = sqliteTable("papers", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  title: text("title").notNull(),
  year: integer("year").notNull(),
  reviewed: integer("reviewed", { mode: "boolean" }).notNull().default(false),
  tags: text("tags", { mode: "json" }).$type<string[]>().notNull().default([]),
  addedAt: integer("added_at", { mode: "timestamp" }).notNull().default(sql`(unixepoch())`),
});

export const paperAuthors = sqliteTable(
  "paper_authors",
  {
    paperId: integer("paper_id").notNull().references(() => papers.id, { onDelete: "cascade" }),
    authorId: integer("author_id").notNull().references(() => authors.id),
    position: integer("position").notNull(),
  },
  (t) => [primaryKey({ columns: [t.paperId, t.position] }), index("paper_authors_author_idx").on(t.authorId)],
);

export const papersRelations = relations(papers, ({ many }) => ({ authors: many(paperAuthors) }));

export const paperAuthorsRelations = relations(paperAuthors, ({ one }) => ({
  paper: one(papers, { fields: [paperAuthors.paperId], references: [papers.id] }),
  author: one(authors, { fields: [paperAuthors.authorId], references: [authors.id] }),
}));

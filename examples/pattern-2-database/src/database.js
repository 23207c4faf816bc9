export const maxIDs = 100; // as many parameters as D1 takes

// Database is what the app asks of D1.
export class Database {
  #db;

  constructor(env) {
    this.#db = env.DB;
  }

  // The papers of these ids, with their authors' names, the latest first.
  async papers(ids) {
    if (ids.length === 0) return [];
    const places = ids.map(() => "?").join(", ");
    const { results } = await this.#db
      .prepare(
        `SELECT r.id, r.title, r.abstract, r.published_at, a.name AS author
         FROM research r JOIN authors a ON a.id = r.author_id
         WHERE r.id IN (${places})
         ORDER BY r.published_at DESC, r.id DESC`,
      )
      .bind(...ids)
      .all();
    return results;
  }

  // Papers with the text in their title (relevance 10) or only in their abstract (5).
  async search(text, limit, offset) {
    const { results } = await this.#db
      .prepare(
        `WITH found AS (
           SELECT id, title, published_at,
                  CASE WHEN instr(lower(title), lower(?1)) THEN 10
                       WHEN instr(lower(abstract), lower(?1)) THEN 5 END AS relevance
           FROM research)
         SELECT * FROM found WHERE relevance IS NOT NULL
         ORDER BY relevance DESC, published_at DESC, id DESC
         LIMIT ?2 OFFSET ?3`,
      )
      .bind(text, limit, offset)
      .all();
    return results;
  }

  // Adds papers, and those of their authors who are new, as one transaction.
  async add(papers) {
    const author = this.#db.prepare("INSERT INTO authors (name) VALUES (?) ON CONFLICT DO NOTHING");
    const paper = this.#db.prepare(
      "INSERT INTO research (title, abstract, author_id) SELECT ?1, ?2, id FROM authors WHERE name = ?3 RETURNING id",
    );
    const done = await this.#db.batch(papers.flatMap((p) => [author.bind(p.author), paper.bind(p.title, p.abstract, p.author)]));
    return done.flatMap((d) => d.results.map((row) => row.id));
  }
}

const namespace = "papers";

// Search keeps papers, and finds them by meaning.
export class Search {
  #env;

  constructor(env) {
    this.#env = env;
  }

  // One vector for each text, by one call of the model.
  async #embed(texts) {
    const { data } = await this.#env.AI.run(this.#env.MODEL, { text: texts });
    return data;
  }

  async add(papers) {
    const insert = this.#env.DB.prepare(
      "INSERT INTO papers (id, title, abstract) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET title = ?2, abstract = ?3",
    );
    await this.#env.DB.batch(papers.map((p) => insert.bind(p.id, p.title, p.abstract)));
    return this.index(papers);
  }

  // Makes papers that are in the database findable; doing so again does no harm.
  async index(papers) {
    const values = await this.#embed(papers.map((p) => `${p.title} ${p.abstract}`));
    return this.#env.VECTORIZE.upsert(papers.map((p, i) => ({ id: p.id, namespace, values: values[i], metadata: { title: p.title } })));
  }

  async find(question, limit) {
    const [vector] = await this.#embed([question]);
    const { matches } = await this.#env.VECTORIZE.query(vector, { topK: limit, namespace });
    const papers = await this.#papers(matches.map((m) => m.id));
    return matches.filter((m) => papers.has(m.id)).map((m) => ({ ...papers.get(m.id), similarity: m.score }));
  }

  async #papers(ids) {
    if (ids.length === 0) return new Map();
    const places = ids.map(() => "?").join(", ");
    const { results } = await this.#env.DB.prepare(`SELECT * FROM papers WHERE id IN (${places})`).bind(...ids).all();
    return new Map(results.map((p) => [p.id, p]));
  }
}

import { asc, desc, eq, inArray, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import * as schema from "./schema";

const { authors, paperAuthors, papers } = schema;

interface Env {
  DB: D1Database;
}

type Catalogue = ReturnType<typeof open>;

const open = (env: Env) => drizzle(env.DB, { schema });

interface NewPaper {
  title: string;
  year: number;
  authors: string[];
  tags?: string[];
}

function isNewPaper(v: unknown): v is NewPaper {
  const p = v as NewPaper | null;
  return typeof p === "object" && p !== null && typeof p.title === "string" && p.title !== "" && Number.isInteger(p.year) &&
    Array.isArray(p.authors) && p.authors.length > 0 && p.authors.every((a) => typeof a === "string" && a !== "");
}

// All papers with their authors, in one query.
async function joined(db: Catalogue) {
  const rows = await db
    .select({ id: papers.id, title: papers.title, year: papers.year, author: authors.name })
    .from(papers)
    .innerJoin(paperAuthors, eq(paperAuthors.paperId, papers.id))
    .innerJoin(authors, eq(authors.id, paperAuthors.authorId))
    .orderBy(desc(papers.year), asc(paperAuthors.position));
  const byId = new Map<number, { id: number; title: string; year: number; authors: string[] }>();
  for (const { author, ...paper } of rows) {
    const known = byId.get(paper.id);
    if (known) known.authors.push(author);
    else byId.set(paper.id, { ...paper, authors: [author] });
  }
  return [...byId.values()];
}

// The same in a loop: one query for the papers, and one more for each of them. It is here to be
// found by "selvage d1 insights".
async function oneByOne(db: Catalogue) {
  const list = await db.select({ id: papers.id, title: papers.title, year: papers.year }).from(papers).orderBy(desc(papers.year));
  const out = [];
  for (const paper of list) {
    const names = await db
      .select({ name: authors.name })
      .from(paperAuthors)
      .innerJoin(authors, eq(authors.id, paperAuthors.authorId))
      .where(eq(paperAuthors.paperId, paper.id))
      .orderBy(asc(paperAuthors.position));
    out.push({ ...paper, authors: names.map((n) => n.name) });
  }
  return out;
}

async function one(db: Catalogue, id: number) {
  return db.query.papers.findFirst({
    where: eq(papers.id, id),
    with: { authors: { columns: { position: true }, orderBy: asc(paperAuthors.position), with: { author: { columns: { name: true } } } } },
  });
}

// Adds a paper and those of its authors who are new, as one transaction.
async function add(db: Catalogue, p: NewPaper) {
  const paperId = sql<number>`(SELECT max(${papers.id}) FROM ${papers})`;
  await db.batch([
    db.insert(papers).values({ title: p.title, year: p.year, tags: p.tags ?? [] }),
    db.insert(authors).values(p.authors.map((name) => ({ name }))).onConflictDoNothing(),
    ...p.authors.map((name, i) =>
      db.insert(paperAuthors).values({ paperId, authorId: sql<number>`(SELECT ${authors.id} FROM ${authors} WHERE ${authors.name} = ${name})`, position: i + 1 }),
    ),
  ]);
  const [added] = await db.select().from(papers).orderBy(desc(papers.id)).limit(1);
  return added;
}

async function route(request: Request, db: Catalogue): Promise<Response> {
  const { pathname } = new URL(request.url);
  const id = /^\/papers\/(\d+)$/.exec(pathname)?.[1];
  switch (true) {
    case request.method === "GET" && pathname === "/papers":
      return Response.json(await joined(db));
    case request.method === "GET" && pathname === "/papers/one-by-one":
      return Response.json(await oneByOne(db));
    case request.method === "GET" && pathname === "/tags":
      return Response.json(await db.all(sql`SELECT t.value AS tag, count(*) AS papers FROM ${papers}, json_each(${papers.tags}) t GROUP BY 1 ORDER BY 2 DESC, 1`));
    case request.method === "GET" && id !== undefined: {
      const paper = await one(db, Number(id));
      return paper ? Response.json(paper) : Response.json({ error: "no such paper" }, { status: 404 });
    }
    case request.method === "POST" && pathname === "/papers": {
      const body: unknown = await request.json().catch(() => null);
      if (!isNewPaper(body)) return Response.json({ error: "want title, year and authors" }, { status: 400 });
      return Response.json(await add(db, body), { status: 201 });
    }
    case request.method === "PATCH" && id !== undefined:
      return Response.json(await db.update(papers).set({ reviewed: true }).where(eq(papers.id, Number(id))).returning());
    case request.method === "DELETE" && id !== undefined:
      return Response.json(await db.delete(papers).where(inArray(papers.id, [Number(id)])).returning({ id: papers.id }));
  }
  return Response.json({ error: "no such route" }, { status: 404 });
}

export default {
  async fetch(request, env) {
    try {
      return await route(request, open(env));
    } catch (e) {
      console.error(e);
      return Response.json({ error: e instanceof Error ? e.message : "unknown" }, { status: 500 });
    }
  },
} satisfies ExportedHandler<Env>;

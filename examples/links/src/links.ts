export interface Link {
  id: string;
  url: string;
  title: string;
  note?: string;
}

/** One message for each field that is wrong. */
export type Problems = Record<string, string>;

export class InvalidLink extends Error {
  constructor(readonly problems: Problems) {
    super("The link is not valid.");
  }
}

const idPattern = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** Turns something that came from outside into a Link, or throws InvalidLink. */
export function parseLink(input: unknown): Link {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw new InvalidLink({ link: "must be an object with url and title" });
  }
  const { id, url, title, note, ...rest } = input as Record<string, unknown>;
  const problems: Problems = {};
  for (const name of Object.keys(rest)) problems[name] = "is not a field of a link";

  if (typeof id !== "string" || !idPattern.test(id)) {
    problems.id = "must be 1 to 32 of a-z, 0-9 and -, and not begin with -";
  }
  const parsed = typeof url === "string" && url.length <= 2048 ? URL.parse(url) : null;
  if (!parsed || (parsed.protocol !== "https:" && parsed.protocol !== "http:")) {
    problems.url = "must be an http or https URL of at most 2048 characters";
  }
  if (typeof title !== "string" || title.trim() === "" || title.length > 120) {
    problems.title = "must be a text of 1 to 120 characters";
  }
  if (note !== undefined && (typeof note !== "string" || note.length > 500)) {
    problems.note = "must be a text of at most 500 characters";
  }
  if (Object.keys(problems).length > 0 || !parsed) throw new InvalidLink(problems);

  const link: Link = { id: id as string, url: parsed.href, title: (title as string).trim() };
  if (typeof note === "string" && note.trim() !== "") link.note = note.trim();
  return link;
}

const limit = 1000;

/**
 * The links, in the order they came. They begin as the variable LINKS says; what
 * is added later lives in the memory of this instance only.
 */
export class Shelf {
  readonly #links = new Map<string, Link>();

  constructor(seed: unknown) {
    if (!Array.isArray(seed)) throw new Error("The variable LINKS must be a JSON array of links.");
    for (const [i, entry] of seed.entries()) {
      try {
        this.add(parseLink(entry));
      } catch (e) {
        const why = e instanceof InvalidLink ? JSON.stringify(e.problems) : String(e);
        throw new Error(`The variable LINKS, entry ${i + 1}: ${why}`);
      }
    }
  }

  all(): Link[] {
    return [...this.#links.values()];
  }

  /** Links whose id, title, note or host has every word of the query in it. */
  search(query: string): Link[] {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    return this.all().filter((l) => {
      const text = `${l.id} ${l.title} ${l.note ?? ""} ${new URL(l.url).host}`.toLowerCase();
      return words.every((w) => text.includes(w));
    });
  }

  get(id: string): Link | undefined {
    return this.#links.get(id);
  }

  add(link: Link): void {
    if (this.#links.has(link.id)) throw new InvalidLink({ id: "is taken" });
    if (this.#links.size >= limit) throw new InvalidLink({ link: `there are ${limit} links already` });
    this.#links.set(link.id, link);
  }

  remove(id: string): boolean {
    return this.#links.delete(id);
  }
}

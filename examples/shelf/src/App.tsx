import type { MouseEvent, ReactNode } from "react";
import { go, useLocation } from "./useLocation";
import { type Loaded, useJSON } from "./useJSON";

type Book = { id: string; title: string; author: string; year: number };

export function App() {
  const path = useLocation();
  const book = /^\/books\/([^/]+)$/.exec(path);
  return (
    <>
      <header>
        <Link to="/">Shelf</Link>
      </header>
      <main>{path === "/" ? <Books /> : book ? <OneBook id={book[1]} /> : <p role="alert">There is nothing at {path}.</p>}</main>
    </>
  );
}

function Books() {
  const books = useJSON<{ owner: string; books: Book[] }>("/api/books");
  return (
    <Wait for={books}>
      {({ owner, books }) => (
        <>
          <h1>Books of {owner}</h1>
          <ul>
            {books.map((b) => (
              <li key={b.id}>
                <Link to={`/books/${b.id}`}>{b.title}</Link> <small>{b.year}</small>
              </li>
            ))}
          </ul>
        </>
      )}
    </Wait>
  );
}

function OneBook({ id }: { id: string }) {
  const book = useJSON<Book>(`/api/books/${id}`);
  return (
    <Wait for={book}>
      {(b) => (
        <article>
          <h1>{b.title}</h1>
          <p>
            {b.author}, {b.year}
          </p>
        </article>
      )}
    </Wait>
  );
}

function Wait<T>({ for: loaded, children }: { for: Loaded<T>; children: (value: T) => ReactNode }) {
  switch (loaded.state) {
    case "loading":
      return <p>…</p>;
    case "failed":
      return <p role="alert">{loaded.why}</p>;
    case "there":
      return children(loaded.value);
  }
}

function Link({ to, children }: { to: string; children: ReactNode }) {
  const onClick = (e: MouseEvent) => {
    if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    go(to);
  };
  return (
    <a href={to} onClick={onClick}>
      {children}
    </a>
  );
}

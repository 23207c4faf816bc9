import { books } from "../../../lib/books";

export const onRequestGet: PagesFunction<unknown, "id"> = ({ params }) => {
  const book = books.find((b) => b.id === params.id);
  return book ? Response.json(book) : new Response(`There is no book ${params.id}.`, { status: 404 });
};

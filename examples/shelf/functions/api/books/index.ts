import { books } from "../../../lib/books";

export const onRequestGet: PagesFunction<{ OWNER: string }> = ({ env }) => Response.json({ owner: env.OWNER, books });

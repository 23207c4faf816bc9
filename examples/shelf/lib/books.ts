export type Book = { id: string; title: string; author: string; year: number };

export const books: Book[] = [
  { id: "moby-dick", title: "Moby-Dick", author: "Herman Melville", year: 1851 },
  { id: "middlemarch", title: "Middlemarch", author: "George Eliot", year: 1871 },
  { id: "effi-briest", title: "Effi Briest", author: "Theodor Fontane", year: 1895 },
];

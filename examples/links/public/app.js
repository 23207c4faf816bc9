// Filters the list while one types. Without this script the form asks the
// server for the same thing.
const form = document.querySelector("form.search");
const input = form.elements.q;
const count = document.querySelector("[data-slot=count]");
const empty = document.querySelector("[data-slot=empty]");
const list = document.querySelector("[data-slot=links]");

// The page may have come filtered: the whole list is one request away.
const full = input.value === "" ? null : fetch("/").then((res) => res.text());

async function filter() {
  if (full && !list.dataset.full) {
    const page = new DOMParser().parseFromString(await full, "text/html");
    list.replaceChildren(...page.querySelector("[data-slot=links]").children);
    list.dataset.full = "yes";
  }
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const item of list.children) {
    const text = `${item.dataset.id} ${item.textContent}`.toLowerCase();
    item.hidden = !words.every((word) => text.includes(word));
    if (!item.hidden) shown++;
  }
  count.textContent = shown === 1 ? "1 link" : `${shown} links`;
  empty.hidden = shown > 0;
  history.replaceState(null, "", words.length > 0 ? `/?q=${encodeURIComponent(input.value)}` : "/");
}

input.addEventListener("input", filter);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  filter();
});
form.querySelector("button").hidden = true;

"use strict";

/* Each cell of a numeric column carries its number in data-number; "" is "no value" and goes last either way. */
function order(column, numeric, descending) {
  return (first, second) => {
    const [a, b] = [first, second].map((row) => row.cells[column]);
    if (!numeric) {
      const words = a.textContent.localeCompare(b.textContent, "en", { numeric: true });
      return descending ? -words : words;
    }
    const [x, y] = [a.dataset.number, b.dataset.number];
    if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1);
    return descending ? y - x : x - y;
  };
}

function sortable(table) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = header.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const numeric = "kind" in header.dataset;
      const now = header.getAttribute("aria-sort");
      const descending = now === "none" ? numeric : now === "ascending"; // of numbers the largest first
      for (const other of headers) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(order(column, numeric, descending)));
    });
  });
}

function filterable(input, table) {
  input.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}

for (const box of document.querySelectorAll(".table")) {
  const [input, table] = [box.querySelector("input"), box.querySelector("table")];
  sortable(table);
  if (input) filterable(input, table);
}
const contents = document.querySelector("nav > details");
const wide = window.matchMedia("(min-width: 75rem)");
const unfold = () => { contents.open = wide.matches; };
wide.addEventListener("change", unfold);
unfold();

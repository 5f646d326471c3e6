// Filters the rows of a table by the text of their names.

const field = () => document.querySelector("[data-filter]");

export function bindFilter() {
  document.addEventListener("input", (event) => {
    if (event.target === field()) filterRows();
  });
}

export function filterRows() {
  const input = field();
  if (!input) return;
  const query = input.value.trim().toLowerCase();
  const rows = [...document.querySelectorAll(`#${input.dataset.filter} tbody tr`)];
  const text = (row) => [...row.querySelectorAll(".name")].map((cell) => cell.textContent).join(" ").toLowerCase();
  for (const row of rows) row.hidden = !text(row).includes(query);
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("no-match").hidden = shown > 0;
  if (query) document.getElementById("shown").textContent = `${shown} of ${rows.length}`;
  else document.getElementById("shown").textContent = document.getElementById("shown").dataset.all;
}

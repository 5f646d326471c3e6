// Filters the rows of a table by the text of their first cell.

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
  for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(query);
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("no-match").hidden = shown > 0;
  if (query) document.getElementById("shown").textContent = `${shown} of ${rows.length}`;
  else document.getElementById("shown").textContent = document.getElementById("shown").dataset.all;
}

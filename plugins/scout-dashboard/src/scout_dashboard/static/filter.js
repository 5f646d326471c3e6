// Narrows the rows of a table to those whose first cell contains what was typed.

const field = () => document.querySelector("[data-filter]");

export function bindFilter() {
  document.addEventListener("input", (event) => {
    if (event.target === field()) filterRows();
  });
}

export function filterRows() {
  const input = field();
  if (!input) return;
  const wanted = input.value.trim().toLowerCase();
  const rows = [...document.querySelectorAll(`#${input.dataset.filter} tbody tr`)];
  for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("no-match").hidden = shown > 0;
  if (wanted) document.getElementById("shown").textContent = `${shown} of ${rows.length}`;
  else document.getElementById("shown").textContent = document.getElementById("shown").dataset.all;
}

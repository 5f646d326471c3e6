// Keyboard shortcuts: "/" filter, "g" and a letter for a page, "j" and "k" for rows, "?" for a list of all.

const typing = (element) => element?.matches?.("input, textarea, select, [contenteditable]");

export function bindKeys() {
  const dialog = document.getElementById("keys");
  let isGoing = false; // "g" was pressed, and the next key selects a page
  for (const button of document.querySelectorAll("[data-keys-button]")) button.addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const wasGoing = isGoing;
    isGoing = event.key === "g";
    if (wasGoing) return follow(document.querySelector(`.tabs [data-key="${CSS.escape(event.key)}"]`));
    const action = {
      "/": () => document.querySelector("[data-filter]")?.focus(),
      "?": () => dialog.showModal(),
      j: () => step(1),
      k: () => step(-1),
      r: () => follow(document.getElementById("unzoom")),
      l: () => document.querySelector("[data-pulse]")?.click(),
      t: window.toggleTheme,
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function follow(link) {
  link?.click();
}

function step(by) {
  const stops = [...document.querySelectorAll("[data-rows] tr:not([hidden]) .name a, .waterfall li > details > summary")];
  if (!stops.length) return;
  const at = stops.indexOf(document.activeElement);
  stops[at < 0 ? (by > 0 ? 0 : stops.length - 1) : Math.min(stops.length - 1, Math.max(0, at + by))].focus();
}

// Keyboard: "/" filter, "g" and a letter to another page, "j" and "k" through rows, "?" all of them.

const typing = (element) => element?.matches?.("input, textarea, select, [contenteditable]");

export function bindKeys() {
  const dialog = document.getElementById("keys");
  let goes = false;
  for (const button of document.querySelectorAll("[data-keys-button]")) button.addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const was = goes;
    goes = event.key === "g";
    if (was) return follow(document.querySelector(`.tabs [data-key="${CSS.escape(event.key)}"]`));
    const act = {
      "/": () => document.querySelector("[data-filter]")?.focus(),
      "?": () => dialog.showModal(),
      j: () => step(1),
      k: () => step(-1),
      r: () => follow(document.getElementById("unzoom")),
      l: () => document.querySelector("[data-pulse]")?.click(),
      t: window.toggleTheme,
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function follow(link) {
  link?.click();
}

function step(by) {
  const stops = [...document.querySelectorAll("[data-rows] tr:not([hidden]) .name a, .waterfall summary")];
  if (!stops.length) return;
  const at = stops.indexOf(document.activeElement);
  stops[at < 0 ? (by > 0 ? 0 : stops.length - 1) : Math.min(stops.length - 1, Math.max(0, at + by))].focus();
}

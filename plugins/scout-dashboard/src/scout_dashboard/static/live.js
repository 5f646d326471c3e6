// Looks at the page again every few seconds while it is watched, and puts what changed into the one that is shown.

import { morph } from "./morph.js";
import { localise } from "./times.js";

let paused = false;
let running = null;

export function startLive(refreshed) {
  const look = () => visit(location.href, refreshed, { again: true });
  let looked = Date.now();
  addEventListener("popstate", () => visit(location.href, refreshed, { back: true }));
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-pulse]")) return;
    paused = !paused;
    show(paused ? "paused" : "live");
    if (!paused) look();
  });
  document.addEventListener("visibilitychange", () => wanted() && look());
  show("live");
  setInterval(() => {
    if (!wanted() || Date.now() - looked < 1000 * pulse().dataset.pulse) return;
    looked = Date.now();
    look();
  }, 500);
}

// Shows another address without leaving the page; follows the link as usual when that fails.
export async function visit(address, refreshed, { again = false, back = false } = {}) {
  if (again && running) return;
  running?.abort();
  const mine = (running = new AbortController());
  try {
    const answer = await fetch(address, { signal: mine.signal, headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== running) return;
    if (!again && !back) history.pushState(null, "", address);
    take(fresh);
    show(paused ? "paused" : "live");
    refreshed();
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (again) show("offline");
    else location.assign(address);
  } finally {
    if (mine === running) running = null;
  }
}

const busy = () => document.querySelector("[data-dragging]");
const wanted = () => !paused && !document.hidden && !busy() && pulse();
const pulse = () => document.querySelector("[data-pulse]");

function take(fresh) {
  localise(fresh);
  document.title = fresh.title;
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (other) morph(part, other);
  }
}

function show(state) {
  const button = pulse();
  if (!button) return;
  button.dataset.state = state;
  const word = { live: "Live", paused: "Paused", offline: "Offline" }[state];
  if (button.lastElementChild.textContent !== word) button.lastElementChild.textContent = word;
}

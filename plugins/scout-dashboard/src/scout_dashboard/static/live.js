// Fetches the page every few seconds while it is visible, and applies what changed.

import { morph } from "./morph.js";
import { localise } from "./times.js";

let paused = false;
let running = null;

export function startLive(refreshed) {
  const poll = () => visit(location.href, refreshed, { again: true });
  let lastPoll = Date.now();
  addEventListener("popstate", () => visit(location.href, refreshed, { back: true }));
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-pulse]")) return;
    paused = !paused;
    show(paused ? "paused" : "live");
    if (!paused) poll();
  });
  document.addEventListener("visibilitychange", () => shouldPoll() && poll());
  show("live");
  setInterval(() => {
    if (!shouldPoll() || Date.now() - lastPoll < 1000 * pulse().dataset.pulse) return;
    lastPoll = Date.now();
    poll();
  }, 500);
}

// Shows another URL without leaving the page; navigates as usual when that fails.
export async function visit(address, refreshed, { again = false, back = false } = {}) {
  if (again && running) return;
  running?.abort();
  const request = (running = new AbortController());
  try {
    const response = await fetch(address, { signal: request.signal, headers: { Accept: "text/html" }, cache: "no-store" });
    if (response.status === 401) return location.reload(); // logged out: shows how to log in, and no data any longer
    if (!response.ok) throw new Error(String(response.status));
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    if (request !== running) return;
    if (!again && !back) history.pushState(null, "", address);
    apply(fresh);
    show(paused ? "paused" : "live");
    refreshed();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (again) show("offline");
    else location.assign(address);
  } finally {
    if (request === running) running = null;
  }
}

const busy = () => document.querySelector("[data-dragging]");
const shouldPoll = () => !paused && !document.hidden && !busy() && pulse();
const pulse = () => document.querySelector("[data-pulse]");

function apply(fresh) {
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
  const label = { live: "Live", paused: "Paused", offline: "Offline" }[state];
  if (button.lastElementChild.textContent !== label) button.lastElementChild.textContent = label;
}

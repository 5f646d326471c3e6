// Sets up a page: charts, local times, filter, keyboard shortcuts, and live updates.

import { drawCharts } from "./charts.js";
import { bindFilter, filterRows } from "./filter.js";
import { bindKeys } from "./keys.js";
import { startLive, visit } from "./live.js";
import { localise } from "./times.js";

function refreshed() {
  drawCharts(zoom);
  filterRows();
}

function zoom(from, to) {
  const url = new URL(location.href);
  url.searchParams.set("from", String(from));
  url.searchParams.set("to", String(to));
  visit(url.href, refreshed);
}

localise(document);
bindFilter();
bindKeys();
for (const button of document.querySelectorAll("[data-theme-button]")) button.addEventListener("click", window.toggleTheme);
drawCharts(zoom);
startLive(refreshed);
addEventListener("theme", () => drawCharts(zoom));

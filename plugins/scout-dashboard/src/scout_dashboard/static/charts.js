// The three charts of a page, drawn by uPlot from the JSON in the page: bars and lines over the same time steps.

import { SHAPES } from "./shapes.js";
import { clock, day, stamp } from "./times.js";
import { tooltip } from "./tooltip.js";

const drawn = new Map();
const probe = document.createElement("i");
probe.hidden = true;

// Colours are only defined in the style sheet, where a class sets --c for dark and light.
function colour(css, variable = "--c") {
  probe.className = css;
  probe.style.color = `var(${variable})`;
  if (!probe.isConnected) document.body.append(probe);
  return getComputedStyle(probe).color;
}

// Draws new charts, updates existing ones, and destroys those that were removed.
export function drawCharts(zoom) {
  for (const [figure, chart] of drawn) {
    if (figure.isConnected) continue;
    chart.destroy();
    drawn.delete(figure);
  }
  const source = document.getElementById("series");
  if (!source) return;
  const page = JSON.parse(source.textContent);
  for (const figure of document.querySelectorAll("[data-chart]")) {
    const shape = SHAPES[figure.dataset.chart](page);
    const chart = drawn.get(figure);
    if (chart && chart.shape === shape.id) chart.update(page, shape);
    else {
      chart?.destroy();
      drawn.set(figure, draw(figure.querySelector(".plot"), page, shape, zoom));
    }
  }
}

function draw(place, page, shape, zoom) {
  let current = { page, shape };
  // The highest sum is drawn first, and lower ones on top of it. Lines run through the middle of a step, where its bar is.
  const table = () => {
    const { series, range } = current.page;
    const time = current.shape.bars ? series.time : series.time.map((start) => start + range.step / 2);
    return [time, ...(current.shape.bars ? [...current.shape.data].reverse() : current.shape.data)];
  };
  const css = shape.bars ? [...shape.css].reverse() : shape.css;
  const bars = uPlot.paths.bars({ size: [1, Infinity], align: 1, gap: 2 * devicePixelRatio });
  const at = (x) => {
    const index = Math.floor((x - current.page.series.time[0]) / current.page.range.step);
    return index >= 0 && index < current.page.series.time.length ? index : null;
  };
  const deploysIn = (start, end) => (current.page.deploys ?? []).filter(({ at: time }) => time >= start && time < end);
  const options = {
    width: place.clientWidth - 16, height: place.clientHeight, legend: { show: false }, padding: [10, 30, 0, 0], // right padding: half of the longest label, 12:06:00
    scales: {
      x: { time: true, range: () => [current.page.range.from, current.page.range.to] },
      y: { range: (_, least, most) => [0, most > 0 ? most * 1.08 : 1] },
    },
    axes: [axis({ values: (_, ticks, __, ___, step) => times(ticks, step), space: 70, size: 26 }),
      axis({ values: (_, ticks, __, ___, step) => shape.ticks(ticks, step), size: 62, space: 34 })],
    series: [{}, ...css.map((name) => (shape.bars
      ? { fill: () => colour(name), width: 0, paths: bars, points: { show: false } }
      : { stroke: () => colour(name), width: 1.75, points: { size: 4, fill: () => colour(name), width: 0 }, spanGaps: false }))],
    cursor: {
      y: false, points: { show: false }, drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => document.getElementById("unzoom")?.click() },
      dataIdx: (chart, _, __, x) => at(x),
      sync: { key: "page", filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
    },
    plugins: [tooltip(place, (x) => {
      const index = at(x);
      if (index == null) return null;
      const start = current.page.series.time[index];
      const deploys = deploysIn(start, start + current.page.range.step).map(({ short }) => ["c-deploy", "Deploy", short]);
      return { title: step(current.page, index), lines: [...current.shape.tooltip(index), ...deploys] };
    })],
    hooks: {
      setSelect: [(chart) => zoomToSelection(chart, current.page.range, zoom)], init: [(chart) => watchDrag(chart)],
      draw: [(chart) => deploysIn(current.page.range.from, current.page.range.to).forEach(({ at: time }) => markDeploy(chart, time))],
    },
  };
  const chart = new uPlot(options, table(), place);
  const resize = new ResizeObserver(() => chart.setSize({ width: place.clientWidth - 16, height: place.clientHeight }));
  resize.observe(place);
  return {
    shape: shape.id,
    update(page, shape) {
      current = { page, shape };
      chart.setData(table());
    },
    destroy() {
      resize.disconnect();
      chart.destroy();
    },
  };
}

function markDeploy(chart, time) {
  const { ctx, bbox } = chart;
  const x = Math.round(chart.valToPos(time, "x", true)) + 0.5;
  ctx.save();
  ctx.strokeStyle = colour("c-deploy");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

function axis(own) {
  return {
    stroke: () => colour("", "--quiet"), font: "11px -apple-system, 'Segoe UI', Inter, 'Noto Sans', 'Liberation Sans', Arial, sans-serif",
    grid: { stroke: () => colour("", "--hair"), width: 1 }, ticks: { show: false }, gap: 6, ...own,
  };
}

function times(ticks, step) {
  return ticks.map((tick) => {
    const date = new Date(tick * 1000);
    return step >= 86400 || clock(date) === "00:00" ? day(date) : step < 60 ? stamp(date).slice(7) : clock(date);
  });
}

function step({ range, series }, index) {
  const start = new Date(series.time[index] * 1000);
  const end = new Date((series.time[index] + range.step) * 1000);
  return `${day(start)} ${clock(start)} – ${clock(end)}`;
}

// A drag selects whole steps: every step that it touches.
function zoomToSelection(chart, { from, to, step }, zoom) {
  const { left, width } = chart.select;
  if (width < 4) return;
  const first = from + Math.floor((chart.posToVal(left, "x") - from) / step) * step;
  const last = from + Math.ceil((chart.posToVal(left + width, "x") - from) / step) * step;
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  zoom(Math.max(from, first), Math.min(to, last));
}

// No refresh during a drag.
function watchDrag(chart) {
  chart.over.addEventListener("mousedown", () => {
    chart.root.dataset.dragging = "";
    addEventListener("mouseup", () => delete chart.root.dataset.dragging, { once: true });
  });
}

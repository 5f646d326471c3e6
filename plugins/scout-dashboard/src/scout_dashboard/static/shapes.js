// The content of each chart: its columns from the bottom up, its axis labels, and the lines of its tooltip.

import { duration, durationTicks, percent, rate } from "./format.js";

export const SHAPES = {
  kinds({ series, kinds }) {
    const columns = kinds.map((kind) => series.kinds[kind.name]);
    return {
      id: JSON.stringify(kinds), bars: true, css: kinds.map((kind) => kind.css), data: stack(columns, series.time.length), ticks: durationTicks,
      tooltip: (at) => [
        ...kinds.map((kind, row) => [kind.css, kind.name, duration(columns[row][at])]).reverse(),
        ["", "Mean", duration(series.mean_ms[at])],
      ],
    };
  },
  throughput({ series }) {
    const failed = series.throughput.map((value, at) => (value == null ? null : value * (series.error_rate[at] ?? 0)));
    const succeeded = series.throughput.map((value, at) => (value == null ? null : value - failed[at]));
    return {
      id: "throughput", bars: true, css: ["c-error", "c-succeeded"], data: stack([failed, succeeded], series.time.length),
      ticks: (ticks) => ticks.map((tick) => tick.toLocaleString("en-US")),
      tooltip: (at) => [["c-succeeded", "Throughput", rate(series.throughput[at])], ["c-error", "Errors", percent(series.error_rate[at])]],
    };
  },
  percentiles: ({ series }) =>
    lines("percentiles", [["c-p99", "p99", series.p99_ms], ["c-p95", "p95", series.p95_ms], ["c-p50", "p50", series.p50_ms]]),
  errors({ series }) {
    return {
      id: "errors", bars: true, css: ["c-error", "c-handled"], data: stack([series.unhandled, series.handled], series.time.length),
      ticks: (ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick.toLocaleString("en-US") : "")),
      tooltip: (at) => [
        ["c-handled", "Handled", (series.handled[at] ?? 0).toLocaleString("en-US")],
        ["c-error", "Not handled", (series.unhandled[at] ?? 0).toLocaleString("en-US")],
      ],
    };
  },
  waits: ({ series }) =>
    lines("waits", [["c-p95", "Wait, p95", series.wait_p95_ms], ["c-queued", "Wait, mean", series.wait_ms], ["k-job", "Run time, mean", series.mean_ms]]),
};

// Durations as lines; a row has a class, a name and a value for each step.
function lines(id, rows) {
  return {
    id, bars: false, css: rows.map(([css]) => css), data: rows.map(([, , column]) => column), ticks: durationTicks,
    tooltip: (at) => rows.map(([css, name, column]) => [css, name, duration(column[at])]),
  };
}

// Cumulative sums from the bottom up, so that each bar includes those below it; null without transactions.
function stack(columns, length) {
  const sums = columns.map(() => new Array(length).fill(null));
  for (let at = 0; at < length; at++) {
    if (columns.every((column) => column[at] == null)) continue;
    let sum = 0;
    columns.forEach((column, row) => (sums[row][at] = sum += column[at] ?? 0));
  }
  return sums;
}

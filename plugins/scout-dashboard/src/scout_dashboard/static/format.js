// Formats numbers for axes and tooltips, like formatting.py, which explains the limits.

const DURATIONS = [
  [0.00005, 1, 0, "ms"], [0.00995, 0.001, 1, "µs"], [0.0995, 0.001, 0, "µs"], [9.95, 1, 1, "ms"], [999.5, 1, 0, "ms"],
  [9995, 1e3, 2, "s"], [99950, 1e3, 1, "s"], [599500, 1e3, 0, "s"], [5997000, 6e4, 1, "min"], [359820000, 3.6e6, 1, "h"],
  [Infinity, 8.64e7, 1, "d"],
];
const grouped = (number) => number.toLocaleString("en-US", { maximumFractionDigits: 0 });

export function duration(ms) {
  if (ms == null) return "–";
  const [, size, decimals, unit] = DURATIONS.find(([limit]) => ms < limit);
  return `${(ms / size).toFixed(decimals)} ${unit}`;
}

export function rate(perMinute) {
  if (perMinute == null) return "–";
  if (perMinute === 0 || perMinute >= 99.95) return `${grouped(perMinute)} / min`;
  return `${perMinute.toFixed(perMinute >= 0.995 ? 1 : 2)} / min`;
}

export function percent(fraction) {
  if (fraction == null) return "–";
  if (fraction > 0 && fraction < 0.0005) return "<0.1 %";
  return `${(fraction * 100).toFixed(fraction === 0 || fraction >= 0.9995 ? 0 : 1)} %`;
}

// Formats the ticks of an axis with one unit, and with no more decimals than the step needs.
export function durationTicks(ticks, step) {
  const top = ticks.at(-1) ?? 0;
  const [size, unit] = top >= 6e5 ? [6e4, "min"] : top >= 1000 ? [1e3, "s"] : top >= 0.5 ? [1, "ms"] : [0.001, "µs"];
  const decimals = [0, 1, 2].find((digits) => Number.isInteger(Number(((step / size) * 10 ** digits).toFixed(6)))) ?? 3;
  return ticks.map((tick) => (tick === 0 ? "0" : `${(tick / size).toFixed(decimals)} ${unit}`));
}

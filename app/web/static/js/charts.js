// The kinds of charts. Each returns a function that shows numbers: {label, ...}.

import { amounts, bar, chart, colour, legend, line, names } from "./chart.js";

/** Shares in percent over categories: `{label, categories, damage: [], kills: []}`. */
export function radar(canvas) {
  const ring = () => ({
    type: "radar",
    data: {
      labels: [],
      datasets: [
        line("Damage", "tide", { fill: true, pointRadius: 3 }),
        line("Kills", "coral", { fill: true, pointRadius: 3, borderDash: [6, 4], pointStyle: "rectRot" }),
      ],
    },
    options: {
      scales: {
        r: {
          beginAtZero: true, suggestedMax: 25,
          grid: { color: colour("line") }, angleLines: { color: colour("line") },
          ticks: { maxTicksLimit: 5, backdropColor: "transparent", callback: (value) => `${value} %` },
          pointLabels: { color: colour("ink"), font: { size: 13, weight: 600 } },
        },
      },
      plugins: {
        legend: legend(),
        tooltip: { callbacks: { label: (item) => ` ${item.dataset.label}: ${item.parsed.r} %` } },
      },
    },
  });
  return chart(canvas, ring, (data, { categories, damage, kills }) => {
    data.labels = categories;
    data.datasets[0].data = damage;
    data.datasets[1].data = kills;
  });
}

/**
 * One amount as bars and another as a line over the same names, on two axes: `{label, names: [], bars: [], line: []}`.
 * Both are told by [name, title of the axis].
 */
export function pair(canvas, [bars, barsAxis], [over, overAxis]) {
  const both = () => ({
    data: {
      labels: [],
      datasets: [
        { type: "line", ...line(over, "coral", { yAxisID: "line", tension: 0.25, pointRadius: 4, pointStyle: "rectRot" }) },
        bar(bars, "tide", { yAxisID: "bars" }),
      ],
    },
    options: {
      interaction: { mode: "index", intersect: false },
      scales: { x: names(), bars: amounts("left", barsAxis), line: amounts("right", overAxis) },
      plugins: { legend: legend() },
    },
  });
  return chart(canvas, both, (data, numbers) => {
    data.labels = numbers.names;
    data.datasets[0].data = numbers.line;
    data.datasets[1].data = numbers.bars;
  });
}

/** How many are in each of some bins: `{label, names: [], counts: []}`. */
export function histogram(canvas, of) {
  const bins = () => ({
    data: { labels: [], datasets: [bar(of, "tide", { maxBarThickness: 90, categoryPercentage: 0.94, barPercentage: 0.94 })] },
    options: { scales: { x: names(), y: amounts("left", of) }, plugins: { legend: { display: false } } },
  });
  return chart(canvas, bins, (data, numbers) => {
    data.labels = numbers.names;
    data.datasets[0].data = numbers.counts;
  });
}

const COLOURS = ["tide", "coral", "misrouted", "late"];
const POINTS = ["circle", "rectRot", "triangle", "rect"];

/** Several amounts of one unit as lines over the same names: `{label, names: [], lines: [[], ...]}`; null is a gap. */
export function lines(canvas, labels, unit, more = {}) {
  const several = () => ({
    type: "line",
    data: {
      labels: [],
      datasets: labels.map((label, place) =>
        line(label, COLOURS[place], { tension: 0.25, pointRadius: 4, pointStyle: POINTS[place], spanGaps: true })),
    },
    options: {
      interaction: { mode: "index", intersect: false },
      scales: { x: names(), y: amounts("left", unit, more) },
      plugins: { legend: legend() },
    },
  });
  return chart(canvas, several, (data, numbers) => {
    data.labels = numbers.names;
    numbers.lines.forEach((values, place) => { data.datasets[place].data = values; });
  });
}

/** A small line without axes: `{label, values: []}`. */
export function spark(canvas) {
  const small = () => ({
    type: "line",
    data: { labels: [], datasets: [line("", "tide", { fill: true, pointRadius: 0, tension: 0.3 })] },
    options: {
      animation: false, events: [],
      scales: { x: { display: false }, y: { display: false, beginAtZero: true, suggestedMax: 1 } },
      plugins: { legend: { display: false }, tooltip: { enabled: false } },
    },
  });
  return chart(canvas, small, (data, { values }) => {
    data.labels = values.map((_, index) => index);
    data.datasets[0].data = values;
  });
}

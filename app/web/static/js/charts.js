// Chart.js in the page's colours, in both themes. Charts are updated in place, so that they move instead of blinking.

const { Chart } = window;
const drawn = new Set();
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const fade = (name, share) => `color-mix(in srgb, ${colour(name)} ${share}%, transparent)`;

function theme() {
  Chart.defaults.color = colour("quiet");
  Chart.defaults.borderColor = colour("line");
  Chart.defaults.font.family = getComputedStyle(document.documentElement).fontFamily;
  Chart.defaults.maintainAspectRatio = false;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) Chart.defaults.animation = false;
  else Chart.defaults.animation.duration = 450;
}

/** A chart on a canvas: `configuration()` is asked again when the theme changes; `show(data)` gives it its numbers. */
function chart(canvas, configuration, fill) {
  let made = null;
  let last = null;
  const draw = () => {
    theme();
    made?.destroy();
    made = new Chart(canvas, configuration());
    if (last) show(last);
  };
  function show(data) {
    last = data;
    fill(made.data, data);
    canvas.setAttribute("aria-label", data.label);
    made.update();
  }
  draw();
  drawn.add(draw);
  return show;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((draw) => draw()));

const line = (label, name, more = {}) => ({
  label, data: [], borderColor: colour(name), backgroundColor: fade(name, 20), borderWidth: 2, pointBackgroundColor: colour(name), ...more,
});

const legend = () => ({
  position: "bottom", labels: { usePointStyle: true, boxWidth: 9, boxHeight: 9, padding: 18, color: colour("ink") },
});

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

/** Damage as bars and kills as a line, per day: `{label, days: [], damage: [], kills: []}`. */
export function trend(canvas) {
  const axis = (position, text) => ({
    position, beginAtZero: true, title: { display: true, text }, grid: { drawOnChartArea: position === "left" },
    ticks: { precision: 0, maxTicksLimit: 6 },
  });
  const days = () => ({
    data: {
      labels: [],
      datasets: [
        { type: "line", ...line("Kills", "coral", { yAxisID: "kills", tension: 0.25, pointRadius: 4, pointStyle: "rectRot" }) },
        { type: "bar", label: "Damage", data: [], yAxisID: "damage", backgroundColor: fade("tide", 75), borderRadius: 6, maxBarThickness: 44 },
      ],
    },
    options: {
      interaction: { mode: "index", intersect: false },
      scales: { x: { grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 14 } }, damage: axis("left", "damage, HP"), kills: axis("right", "kills") },
      plugins: { legend: legend() },
    },
  });
  return chart(canvas, days, (data, numbers) => {
    data.labels = numbers.days;
    data.datasets[0].data = numbers.kills;
    data.datasets[1].data = numbers.damage;
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

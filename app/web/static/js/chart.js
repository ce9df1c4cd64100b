// Chart.js in the page's colours, in both themes. Charts are updated in place, so that they move instead of blinking.

const { Chart } = window;
const drawn = new Set();

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
export const fade = (name, share) => `color-mix(in srgb, ${colour(name)} ${share}%, transparent)`;

function theme() {
  Chart.defaults.color = colour("quiet");
  Chart.defaults.borderColor = colour("line");
  Chart.defaults.font.family = getComputedStyle(document.documentElement).fontFamily;
  Chart.defaults.maintainAspectRatio = false;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) Chart.defaults.animation = false;
  else Chart.defaults.animation.duration = 450;
}

/**
 * A chart on a canvas: `configuration()` is asked again when the theme changes. Returns a function that gives it its
 * numbers; their `label` says in words what is drawn.
 */
export function chart(canvas, configuration, fill) {
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

export const legend = () => ({
  position: "bottom", labels: { usePointStyle: true, boxWidth: 9, boxHeight: 9, padding: 18, color: colour("ink") },
});

/** A dataset drawn as a line, in a colour of the page. */
export const line = (label, name, more = {}) => ({
  label, data: [], borderColor: colour(name), backgroundColor: fade(name, 20), borderWidth: 2, pointBackgroundColor: colour(name), ...more,
});

/** A dataset drawn as bars. */
export const bar = (label, name, more = {}) => ({
  type: "bar", label, data: [], backgroundColor: fade(name, 75), borderRadius: 6, maxBarThickness: 44, ...more,
});

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** An axis of amounts, from 0. */
export const amounts = (position, text, more = {}) => ({
  position, beginAtZero: true, title: { display: matchMedia("(min-width: 30rem)").matches, text }, grid: { drawOnChartArea: position === "left" },
  ticks: { precision: 0, maxTicksLimit: 6, callback: (value) => short.format(value) }, ...more,
});

/** An axis of names that never turns them. */
export const names = () => ({ grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 14 } });

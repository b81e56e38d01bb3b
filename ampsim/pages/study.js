// The study page. All that comes from runs is put on the page as text, never as HTML.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const FIRST = 200; // rows at first, and charts with intervals up to as many points
const MOST_AXES = 7;
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
// From worst to best, each lighter or darker than the one before, after viridis; none vanishes in its background.
const CLASSES = { light: ["#b9a000", "#4f9d4f", "#1f8a86", "#3b528b", "#440154"], dark: ["#7a52a0", "#5578b8", "#2fa39d", "#6fd16f", "#fde725"] };
const metrics = new Map(data.metrics.map((metric) => [metric.name, metric]));
const main = metrics.get(data.metric);
// A factor of numbers can be drawn against a score, too.
for (const factor of data.factors.filter((each) => each.numbers)) {
  const none = data.configs.map(() => null);
  const mean = factor.of.map((level) => Number(factor.levels[level]));
  metrics.set(`factor ${factor.name}`, { name: `factor ${factor.name}`, title: factor.name, format: "", better: 0, mean, low: none, high: none });
}
const starts = [];
data.configs.reduce((at, config) => (starts.push(at), at + config.seeds), 0);
const state = { sort: "rank", up: true, shown: FIRST, all: false, visible: data.configs.map((_, k) => k) };

// ---- words and numbers ----

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  return element;
}

/** A number as Python's format string of its score writes it. */
function written(metric, value) {
  if (value === null || value === undefined) return "–";
  const parts = /^(.*)\{:(\+?)(,?)(?:\.(\d+))?([fg%]?)\}(.*)$/.exec(metric.format);
  if (!parts) return Number(value.toPrecision(4)).toString();
  const [, before, plus, comma, digits, kind, after] = parts;
  let text;
  if (metric.ratio && metric.format === "{:.4f}" && value > 0 && value < 0.001) text = value.toPrecision(2);
  else if (kind === "%") text = `${(100 * value).toFixed(Number(digits || 0))}%`;
  else if (kind === "f") text = value.toFixed(Number(digits || 0));
  else text = Number(value.toPrecision(Number(digits || 6))).toString();
  if (comma) text = text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return before + (plus && value >= 0 ? "+" : "") + text + after;
}

const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
const betterWord = (metric) => (metric.better > 0 ? "higher is better" : metric.better < 0 ? "lower is better" : "");
/** Plotly reads a few HTML tags in its texts: a name's own are shown as they are. */
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const short = (text, most = 48) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const axisTitle = (metric) => plain(metric.title) + (betterWord(metric) ? `<br><sub>${betterWord(metric)}</sub>` : "");
const labelOf = (k) => data.configs[k].label;
const levelOf = (factor, k) => factor.levels[factor.of[k]];

function isLog(metric, values) {
  const known = values.filter((value) => value !== null);
  return known.length > 0 && Math.min(...known) > 0 && Math.max(...known) > 8 * Math.min(...known);
}

// ---- table ----

function columns() {
  const seen = data.metrics.filter((metric) => metric !== main && (state.all || metric.shown));
  return [
    { key: "rank", title: "", say: "rank", value: (k) => k, text: (k) => k + 1 },
    { key: "config", title: "config", value: labelOf, left: true },
    ...(data.factors.length > 1 ? data.factors.slice(0, 6) : []).map((factor) => ({
      key: `factor ${factor.name}`,
      title: factor.name.split(".").pop(),
      say: factor.name,
      left: !factor.numbers,
      value: (k) => factor.of[k],
      text: (k) => levelOf(factor, k),
    })),
    { key: "seeds", title: "seeds", value: (k) => data.configs[k].seeds },
    { key: main.name, title: main.title, say: main.meaning, value: (k) => main.mean[k], text: (k) => written(main, main.mean[k]) },
    { key: "interval", title: "95 % of the mean", value: (k) => main.high[k], text: (k) => interval(main, k) },
    { key: "to", title: "to the best (95 %)", left: true, value: (k) => k, text: versus },
    ...seen.map((metric) => ({
      key: metric.name,
      title: metric.title,
      say: metric.meaning,
      value: (k) => metric.mean[k],
      text: (k) => written(metric, metric.mean[k]),
    })),
  ];
}

function interval(metric, k) {
  if (metric.low[k] === null) return data.configs[k].seeds === 1 ? "one seed" : "not known";
  return `${written(metric, metric.low[k])} to ${written(metric, metric.high[k])}`;
}

function versus(k) {
  const config = data.configs[k];
  if (config.best) return "best";
  const cell = document.createDocumentFragment();
  if (config.tie) cell.append(make("span", "tie", { class: "tie" }));
  cell.append(config.to);
  return cell;
}

function drawTable() {
  const shown = columns();
  const head = make("tr");
  for (const column of shown) {
    const sorted = state.sort === column.key ? (state.up ? "ascending" : "descending") : "none";
    const cell = make("th", null, { scope: "col", "aria-sort": sorted, class: column.left ? "left" : "" });
    const button = make("button", column.title || "#", { type: "button", title: column.say });
    button.addEventListener("click", () => {
      state.up = state.sort === column.key ? !state.up : true;
      state.sort = column.key;
      drawTable();
      [...by("table").tHead.rows[0].cells][shown.indexOf(column)].firstChild.focus();
    });
    cell.append(button);
    head.append(cell);
  }
  const order = [...state.visible];
  const column = shown.find((each) => each.key === state.sort) || shown[0];
  const side = state.up ? 1 : -1;
  order.sort((a, b) => {
    const [one, other] = [column.value(a), column.value(b)];
    if (one === other) return a - b;
    if (one === null) return 1;
    if (other === null) return -1;
    return side * (typeof one === "string" ? one.localeCompare(other) : one - other);
  });
  const body = make("tbody");
  for (const k of order.slice(0, state.shown)) body.append(tableRow(shown, k));
  const table = by("table");
  table.replaceChildren(make("caption", "Configs, best first, with their scores", { class: "visually-hidden" }), make("thead"), body);
  table.tHead.append(head);
  by("count").textContent = `${state.visible.length.toLocaleString("en")} of ${data.configs.length.toLocaleString("en")} configs`;
  const left = order.length - state.shown;
  by("more").hidden = left <= 0;
  by("more").textContent = `Show the other ${left.toLocaleString("en")}`;
}

function tableRow(shown, k) {
  const row = make("tr", null, { "data-config": k });
  for (const column of shown) {
    const text = column.text ? column.text(k) : column.value(k);
    if (column.key === "config") {
      const cell = make("th", null, { scope: "row" });
      const button = make("button", text, { type: "button" });
      button.addEventListener("click", () => openRun(k));
      cell.append(button);
      row.append(cell);
    } else {
      const cell = make("td", null, { class: column.left ? "left" : "" });
      cell.append(text);
      row.append(cell);
    }
  }
  return row;
}

// ---- filters ----

const choices = new Map(); // of a level, by factor

function matching() {
  const tests = by("filter").value.trim().split(/\s+/).filter(Boolean).map((word) => {
    const parts = /^([\w.]+)(<=|>=|<|>)([-+.\deE]+)$/.exec(word);
    const metric = parts && metrics.get(parts[1].toLowerCase());
    if (metric && Number.isFinite(Number(parts[3]))) {
      const limit = Number(parts[3]);
      const compare = { "<": (v) => v < limit, ">": (v) => v > limit, "<=": (v) => v <= limit, ">=": (v) => v >= limit }[parts[2]];
      return (k) => metric.mean[k] !== null && compare(metric.mean[k]);
    }
    return (k) => names(k).includes(word.toLowerCase());
  });
  for (const [factor, level] of choices) tests.push((k) => factor.of[k] === level);
  return data.configs.map((_, k) => k).filter((k) => tests.every((test) => test(k)));
}

function names(k) {
  const config = data.configs[k];
  const runs = Array.from({ length: config.seeds }, (_, n) => data.runs.name[starts[k] + n]);
  return [config.label, ...runs].join(" ").toLowerCase();
}

let waiting = 0;
function filterChanged() {
  state.visible = matching();
  state.shown = FIRST;
  drawTable();
  clearTimeout(waiting);
  waiting = setTimeout(drawCharts, 150);
}

function makeFilters() {
  by("filter").addEventListener("input", filterChanged);
  for (const factor of data.factors.filter((each) => each.levels.length <= 30).slice(0, 8)) {
    const select = make("select");
    select.append(make("option", "all", { value: "" }));
    factor.levels.forEach((level, n) => select.append(make("option", short(level, 40), { value: n })));
    select.addEventListener("change", () => {
      if (select.value === "") choices.delete(factor);
      else choices.set(factor, Number(select.value));
      filterChanged();
    });
    const label = make("label", factor.name.split(".").pop(), { title: factor.name });
    label.append(select);
    by("filters").append(label);
  }
}

// ---- charts ----

let plotly = null;
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = () => document.body.clientWidth < 700;
const classes = () => CLASSES[dark.matches ? "dark" : "light"];
const COARSE = window.matchMedia("(pointer: coarse)").matches;

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function axis(more = {}) {
  return { gridcolor: ink("line"), zeroline: false, linecolor: ink("strong"), automargin: true, ...more };
}

function layout(more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink("ink"), family: ink("font"), size: 12 },
    margin: { l: 60, r: 16, t: 16, b: 50 },
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", itemsizing: "constant" },
    dragmode: COARSE ? false : "zoom",
    hovermode: "closest",
    hoverlabel: { align: "left" },
    ...more,
  };
}

function draw(id, traces, arranged, clicked) {
  const element = by(id);
  element.style.height = `${arranged.height}px`;
  const options = { displayModeBar: false, responsive: true, showTips: false };
  return plotly.react(element, traces, layout(arranged), options).then(() => {
    element.removeAllListeners?.("plotly_click");
    if (clicked) element.on("plotly_click", (event) => clicked(event.points[0]));
  });
}

function errors(low, high, middle) {
  const [above, below] = [[], []];
  middle.forEach((value, n) => {
    above.push(high[n] === null || value === null ? 0 : high[n] - value);
    below.push(low[n] === null || value === null ? 0 : value - low[n]);
  });
  return { type: "data", symmetric: false, array: above, arrayminus: below, thickness: 1.2, width: 3 };
}

/** Axis of a score: logarithmic where its values span a factor of 8, so that no interval reaches below zero. */
function scoreAxis(metric, values, title = axisTitle(metric)) {
  const log = isLog(metric, values);
  const made = axis({ type: log ? "log" : "linear", title: { text: title } });
  if (!log) return { ...made, nticks: 6 };
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.log10(Math.min(...known)), Math.log10(Math.max(...known))];
  const steps = high - low > 5 ? [1] : high - low > 2.2 ? [1, 3] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(low) - 1; power <= high + 1; power += 1) ticks.push(...steps.map((step) => step * 10 ** power));
  return { ...made, tickvals: ticks, ticktext: ticks.map((tick) => Number(tick.toPrecision(2)).toLocaleString("en", { maximumSignificantDigits: 2 })) };
}

function drawEffects() {
  const section = by("effects-section");
  const found = data.effects.slice(0, 8);
  section.hidden = found.length === 0;
  if (!found.length) return undefined;
  const wide = Math.min(found.length, narrow() ? 1 : 3);
  const rows = Math.ceil(found.length / wide);
  const every = found.flatMap((effect) => effect.levels.flatMap((level) => [level.mean, level.low, level.high]));
  const arranged = { grid: { rows, columns: wide, pattern: "independent", ygap: narrow() ? 0.35 : 0.45, xgap: 0.16 }, showlegend: false, height: rows * 260 + 20, annotations: [] };
  arranged.margin = { l: 64, r: 12, t: 34, b: 40 };
  const traces = found.map((effect, n) => {
    const number = n ? n + 1 : "";
    const names = effect.levels.map((level) => plain(short(level.name, 18)));
    // Half a step beside the outer levels, and names aslant that would not fit side by side: Plotly leaves out what is cut.
    const aslant = names.length * Math.max(...names.map((name) => name.length)) > (narrow() ? 32 : 46) ? -25 : 0;
    arranged[`xaxis${number}`] = axis({ tickvals: names.map((_, place) => place), ticktext: names, tickangle: aslant, range: [-0.5, names.length - 0.5] });
    arranged[`yaxis${number}`] = scoreAxis(main, every, n % wide ? "" : axisTitle(main));
    arranged.annotations.push({
      text: `<b>${plain(short(effect.factor, narrow() ? 20 : 34))}</b> ${share(effect)}`,
      xref: `x${number} domain`, yref: `y${number} domain`, x: 0, y: 1, xanchor: "left", yanchor: "bottom", showarrow: false,
    });
    const means = effect.levels.map((level) => level.mean);
    return {
      type: "scatter",
      mode: "markers",
      xaxis: `x${number}`,
      yaxis: `y${number}`,
      x: effect.levels.map((_, place) => place), // names that are cut may be the same
      y: means,
      error_y: { ...errors(effect.levels.map((l) => l.low), effect.levels.map((l) => l.high), means), color: ink("ink") },
      marker: { color: data.colours[0], size: 9, symbol: "diamond" },
      hovertemplate: effect.levels.map((level) => `${plain(level.name)}: ${plain(written(main, level.mean))}<extra></extra>`),
    };
  });
  by("effects-note").textContent =
    `Mean ${main.title} of all runs at each level, over everything else, with 95 % intervals ` +
    (data.configs.some((config) => config.seeds > 1)
      ? "(Student's t, from the spread of the seeds). "
      : "(Student's t, from the spread of the runs: with one seed each, other factors are in it). ") +
    `${capital(betterWord(main))}. In brackets: the share of the variance that the factor explains. The effects are those of all runs, whatever is filtered.`;
  return draw("effects", traces, arranged);
}

function share(effect) {
  const chance = effect.p === null || narrow() ? "" : effect.p < 0.001 ? ", p < 0.001" : `, p = ${effect.p.toPrecision(2)}`;
  return `(${Math.round(100 * (effect.share || 0))} %${chance})`;
}

/** Places of the points that no other one betters in both scores; of equal ones all stay. */
function front(xs, ys, xSide, ySide) {
  const known = xs.map((_, n) => n).filter((n) => xs[n] !== null && ys[n] !== null);
  known.sort((a, b) => xSide * (xs[b] - xs[a]) || ySide * (ys[b] - ys[a]));
  const found = [];
  let best = -Infinity;
  let at = null;
  for (const n of known) {
    const value = ySide * ys[n];
    if (value > best || (value === best && xs[n] === at)) {
      if (value > best) at = xs[n];
      best = value;
      found.push(n);
    }
  }
  return found;
}

function coloured(shown) {
  const factor = data.factors.find((each) => each.name === by("colour").value);
  if (!factor) return [{ name: "configs", of: shown, colour: data.colours[0], symbol: SYMBOLS[0] }];
  return factor.levels
    .map((level, n) => ({
      name: `${factor.name.split(".").pop()}=${short(level, 24)}`,
      of: shown.filter((k) => factor.of[k] === n),
      colour: factor.levels.length <= data.colours.length ? data.colours[n] : classes()[Math.round((4 * n) / (factor.levels.length - 1))],
      symbol: SYMBOLS[n % SYMBOLS.length],
    }))
    .filter((each) => each.of.length);
}

function drawScatter() {
  const [x, y] = [metrics.get(by("x").value), metrics.get(by("y").value)];
  const shown = state.visible.filter((k) => x.mean[k] !== null && y.mean[k] !== null);
  const bars = shown.length <= FIRST;
  const traces = coloured(shown).map((group) => ({
    type: "scatter",
    mode: "markers",
    name: plain(group.name),
    x: group.of.map((k) => x.mean[k]),
    y: group.of.map((k) => y.mean[k]),
    customdata: group.of,
    hovertemplate: group.of.map((k) => `${plain(short(labelOf(k), 70))}<br>${plain(x.title)} ${plain(written(x, x.mean[k]))}<br>${plain(y.title)} ${plain(written(y, y.mean[k]))}<extra></extra>`),
    marker: { color: group.colour, symbol: group.symbol, size: 8, line: { color: ink("panel"), width: 0.5 } },
    ...(bars
      ? {
          error_x: { ...errors(group.of.map((k) => x.low[k]), group.of.map((k) => x.high[k]), group.of.map((k) => x.mean[k])), color: group.colour, thickness: 0.7 },
          error_y: { ...errors(group.of.map((k) => y.low[k]), group.of.map((k) => y.high[k]), group.of.map((k) => y.mean[k])), color: group.colour, thickness: 0.7 },
        }
      : {}),
  }));
  const best = front(shown.map((k) => x.mean[k]), shown.map((k) => y.mean[k]), x.better, y.better).map((n) => shown[n]);
  if (x.better && y.better) traces.push({
    type: "scatter",
    mode: "lines+markers",
    name: "Pareto front",
    x: best.map((k) => x.mean[k]),
    y: best.map((k) => y.mean[k]),
    customdata: best,
    hoverinfo: "skip",
    line: { color: ink("ink"), width: 1.2, dash: "dot" },
    marker: { color: "rgba(0,0,0,0)", size: 13, line: { color: ink("ink"), width: 1.5 } },
  });
  by("scatter-note").textContent =
    `${shown.length.toLocaleString("en")} configs${x.better && y.better ? onFront(best) : ""}. ` +
    `${bars ? "Bars: 95 % of the mean over the seeds (Student's t). " : ""}A click on a point opens its config.`;
  const arranged = {
    height: narrow() ? 420 : 500,
    xaxis: ranged(scoreAxis(x, shown.map((k) => x.mean[k])), shown.map((k) => x.mean[k])),
    yaxis: ranged(scoreAxis(y, shown.map((k) => y.mean[k])), shown.map((k) => y.mean[k])),
    showlegend: true,
  };
  return draw("scatter", traces, arranged, (point) => openRun(point.customdata));
}

const onFront = (best) => `; on the Pareto front, which none betters in both: ${best.slice(0, 6).map(labelOf).join("; ")}${best.length > 6 ? "; …" : ""}`;

/** An axis on which the points fill the picture, be the intervals of two seeds as long as they may. */
function ranged(axisOf, values) {
  const known = values.filter((value) => value !== null).map((value) => (axisOf.type === "log" ? Math.log10(value) : value));
  if (!known.length) return axisOf;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = 0.12 * (high - low || Math.abs(high) || 1);
  return { ...axisOf, range: [low - room, high + room] };
}

/** The value of a curve at a step, in a straight line between two of its points. */
function at(curve, step) {
  const [steps, values] = curve;
  if (step < steps[0] || step > steps[steps.length - 1]) return null;
  let n = 0;
  while (n < steps.length - 1 && steps[n + 1] < step) n += 1;
  if (steps[n] === step || n === steps.length - 1) return values[n];
  const part = (step - steps[n]) / (steps[n + 1] - steps[n]);
  return values[n] === null || values[n + 1] === null ? null : values[n] + part * (values[n + 1] - values[n]);
}

function drawCurves() {
  const known = data.curves[by("curve").value];
  by("curves-section").hidden = !known;
  if (!known) return undefined;
  const ofConfig = (k) => Array.from({ length: data.configs[k].seeds }, (_, n) => known[starts[k] + n]).filter(Boolean);
  const shown = state.visible.filter((k) => ofConfig(k).length).slice(0, Number(by("curve-count").value));
  const traces = [];
  shown.forEach((k, n) => {
    const curves = ofConfig(k);
    const colour = data.colours[n % data.colours.length];
    const steps = [...new Set(curves.flatMap((curve) => curve[0]))].sort((a, b) => a - b);
    const values = steps.map((step) => curves.map((curve) => at(curve, step)).filter((value) => value !== null));
    const group = { legendgroup: String(k), hoverinfo: "skip", mode: "lines", type: "scatter", showlegend: false, line: { width: 0, color: colour } };
    if (curves.length > 1) {
      traces.push({ ...group, x: steps, y: values.map((each) => Math.max(...each)) });
      traces.push({ ...group, x: steps, y: values.map((each) => Math.min(...each)), fill: "tonexty", fillcolor: `${colour}33` });
    }
    traces.push({
      type: "scatter",
      mode: "lines",
      name: plain(short(labelOf(k), narrow() ? 30 : 60)),
      legendgroup: String(k),
      x: steps,
      y: values.map((each) => Math.exp(each.reduce((sum, value) => sum + Math.log(Math.max(value, 1e-12)), 0) / each.length)),
      line: { color: colour, width: 2, dash: DASHES[Math.floor(n / data.colours.length) % DASHES.length] },
    });
  });
  by("curves-note").textContent =
    "The best configs of the table: geometric mean over the seeds, and a band from their lowest to their highest. " +
    "Where a model's output filter is solved for after the last step, the last point drops: a least-squares fit, not an optimizer's step.";
  return draw("curves", traces, {
    height: narrow() ? 420 : 460,
    xaxis: axis({ title: { text: "optimizer step" } }),
    yaxis: axis({ type: "log", title: { text: `${plain(by("curve").value)}<br><sub>lower is better</sub>` } }),
  });
}

function drawParallel() {
  const shown = state.visible.filter((k) => main.mean[k] !== null);
  const others = data.metrics.filter((metric) => metric.shown && metric !== main);
  const several = data.factors.filter((factor) => factor.levels.length > 1);
  const room = narrow() ? 3 : MOST_AXES;
  const axes = [...several.slice(0, room - 2), ...others.slice(0, Math.max(1, room - 1 - several.length)), main].slice(-room);
  by("parallel-section").hidden = axes.length < 2 || !shown.length;
  if (by("parallel-section").hidden) return undefined;
  const scales = axes.map((each) => (each.levels ? levelScale(each) : metricScale(each, shown)));
  const ranks = new Map([...shown].sort((a, b) => (main.better > 0 ? main.mean[a] - main.mean[b] : main.mean[b] - main.mean[a])).map((k, n) => [k, n]));
  const fifths = classes().map((_, n) => shown.filter((k) => Math.min(4, Math.floor((5 * ranks.get(k)) / shown.length)) === n));
  const traces = fifths.map((of, n) => ({
    type: "scatter",
    mode: "lines",
    name: ["worst fifth", "", "middle fifth", "", "best fifth"][n] || `${n === 1 ? "second" : "fourth"} fifth`,
    x: of.flatMap(() => [...axes.keys(), null]),
    y: of.flatMap((k) => [...scales.map((scale) => scale.place(k)), null]),
    hoverinfo: "skip",
    line: { color: classes()[n], width: n === 4 ? 2 : 1 },
    opacity: n === 4 ? 0.95 : shown.length > 300 ? 0.3 : 0.55,
  }));
  const annotations = axes.flatMap((each, n) => [
    { x: n, y: 1.06, text: `<b>${plain(short(each.levels ? each.name.split(".").pop() : each.title, narrow() ? 11 : 22))}</b>`, yanchor: "bottom", xanchor: n === 0 ? "left" : n === axes.length - 1 ? "right" : "center", showarrow: false },
    ...scales[n].ticks.map(([place, text]) => ({
      x: n, y: place, text: plain(short(text, 14)), xanchor: n === axes.length - 1 ? "right" : "left", showarrow: false,
      xshift: n === axes.length - 1 ? -5 : 5, font: { size: 11 }, bgcolor: `${ink("panel")}cc`,
    })),
  ]);
  by("parallel-note").textContent = `A line for each of ${shown.length.toLocaleString("en")} configs, coloured by ${main.title}: the best fifth is drawn widest, and on top.`;
  return draw("parallel", traces, {
    height: 460,
    annotations,
    margin: { l: 20, r: 24, t: 50, b: 20 },
    shapes: axes.map((_, n) => ({ type: "line", x0: n, x1: n, y0: 0, y1: 1, line: { color: ink("strong"), width: 1 } })),
    xaxis: { visible: false, range: [-0.06, axes.length - 0.94], fixedrange: true },
    yaxis: { visible: false, range: [-0.06, 1.16], fixedrange: true },
  });
}

/** A factor's levels, each in the middle of its part of the axis; configs of one level fan out a little. */
function levelScale(factor) {
  const count = factor.levels.length;
  const middle = (n) => (n + 0.5) / count;
  const few = count <= 12 ? factor.levels.map((level, n) => [middle(n), level]) : [0, Math.floor(count / 2), count - 1].map((n) => [middle(n), factor.levels[n]]);
  return { place: (k) => middle(factor.of[k]) + ((((k * 0.618) % 1) - 0.5) * 0.5) / count, ticks: few };
}

function metricScale(metric, shown) {
  const values = shown.map((k) => metric.mean[k]);
  const log = isLog(metric, values);
  const scale = (value) => (log ? Math.log(value) : value);
  const known = values.filter((value) => value !== null).map(scale);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const unscale = (value) => (log ? Math.exp(value) : value);
  const place = (k) => (metric.mean[k] === null ? null : high > low ? (scale(metric.mean[k]) - low) / (high - low) : 0.5);
  const ticks = high > low ? [0, 0.5, 1].map((part) => [part, written(metric, unscale(low + part * (high - low)))]) : [[0.5, written(metric, unscale(low))]];
  return { place, ticks };
}

async function drawCharts() {
  if (!plotly) return;
  for (const one of [drawEffects, drawScatter, drawCurves, drawParallel]) {
    await one();
    await new Promise((soon) => setTimeout(soon)); // what is typed meanwhile comes first
  }
  document.body.dataset.charts = String(Number(document.body.dataset.charts || 0) + 1);
}

// ---- one config: its figures and its sound ----

const voices = new Map(); // what is heard, by its name
let open = null;

function bestRun(k) {
  const places = Array.from({ length: data.configs[k].seeds }, (_, n) => starts[k] + n);
  const inside = places.find((place) => data.runs.inside[place]);
  if (inside !== undefined) return inside;
  const side = main.better > 0 ? -1 : 1;
  return places.reduce((one, other) => (side * main.values[other] < side * main.values[one] ? other : one));
}

const local = Boolean(data.runs.audio.length);
const fileOf = (place, name) => `${data.base}/${data.runs.id[place]}/artifacts/${name}`;

/** Where a run's sound comes from, this page or the store's folder, and the gain that it is stored with; null where it is in neither. */
function source(place, what) {
  const inside = data.runs.inside[place];
  const island = what === "amp" ? sameAmp(place) && data.sound.amp : inside && inside.sound;
  if (typeof island === "number") {
    const packed = document.querySelectorAll("script.sound")[island].textContent;
    return { url: `data:audio/flac;base64,${packed}`, offset: 0, gain: data.sound.scale || 1 };
  }
  if (!data.runs.audio[place]) return null;
  return { url: fileOf(place, `audio/${what}.wav`), offset: data.sound.start || 0, gain: data.runs.gain[place] };
}

function sameAmp(place) {
  const first = data.runs.id.indexOf(data.sound.of);
  return first >= 0 && data.runs.target[first] === data.runs.target[place];
}

class Voices {
  constructor() {
    this.all = new Map();
    this.current = "";
    this.playing = false;
  }
  set(name, found) {
    this.all.get(name)?.audio.pause();
    this.all.delete(name);
    if (!found) return this.level();
    const audio = new Audio(found.url);
    audio.preload = "auto";
    audio.addEventListener("error", () => said(`The sound of “${name}” could not be read: is the store's folder still where it was?`));
    audio.addEventListener("timeupdate", () => {
      if (this.playing && this.current === name && audio.currentTime > found.offset + this.length()) audio.currentTime = found.offset;
    });
    audio.addEventListener("ended", () => {
      if (this.playing && this.current === name) {
        audio.currentTime = found.offset;
        audio.play();
      }
    });
    this.all.set(name, { ...found, audio });
    this.level();
  }
  /** Each as loud against the others as in the runs: a player can only turn down, so the least gain is that of all. */
  level() {
    const all = [...this.all.values()];
    const least = Math.min(...all.map((each) => each.gain));
    for (const each of all) each.audio.volume = least / each.gain;
  }
  length() {
    return data.sound.length || 5;
  }
  choose(name) {
    const [before, after] = [this.all.get(this.current), this.all.get(name)];
    const time = before ? Math.max(0, before.audio.currentTime - before.offset) : 0;
    before?.audio.pause();
    this.current = name;
    if (!after) return;
    after.audio.currentTime = after.offset + (time % this.length());
    if (this.playing) after.audio.play().catch(() => said(`“${name}” cannot be played here.`));
  }
  toggle(on) {
    this.playing = on;
    by("play").textContent = on ? "Pause" : "Play";
    const heard = this.all.get(this.current);
    if (!heard) return;
    if (on && heard.audio.currentTime < heard.offset) heard.audio.currentTime = heard.offset;
    if (on) heard.audio.play().catch(() => said(`“${this.current}” cannot be played here.`));
    else heard.audio.pause();
  }
  stop() {
    this.toggle(false);
    for (const name of [...this.all.keys()]) this.set(name, null);
  }
}
const player = new Voices();
const said = (text) => (by("player-note").textContent = text);

function drawVoices() {
  by("voices").replaceChildren(
    ...[...player.all.keys()].map((name) => {
      const button = make("button", short(name, 40), { type: "button", class: "quiet", "aria-pressed": String(name === player.current) });
      button.addEventListener("click", () => {
        player.choose(name);
        for (const each of by("voices").children) each.setAttribute("aria-pressed", String(each === button));
      });
      return button;
    }),
  );
  by("play").disabled = player.all.size === 0;
}

function openRun(k) {
  const config = data.configs[k];
  const place = bestRun(k);
  open = k;
  player.stop();
  by("run-title").textContent = config.label;
  const seeds = config.seeds === 1 ? "one seed" : `${config.seeds} seeds, the best of them is heard and drawn`;
  const to = config.best ? "the best" : `${config.tie ? "a tie with the best, " : "to the best: "}${config.to}`;
  by("run-about").textContent = `Rank ${k + 1} of ${data.configs.length}; ${seeds}; ${main.title} ${written(main, main.mean[k])}, ${to}.`;
  player.set("amp", source(place, "amp"));
  player.set("this config", source(place, "prediction"));
  said(player.all.has("this config") ? "" : gone());
  player.current = player.all.has("this config") ? "this config" : "amp";
  drawVoices();
  drawOthers(k);
  drawPictures(place);
  drawLinks(k);
  drawScores(k);
  if (!by("run").open) by("run").showModal();
  by("run-title").focus();
}

function gone() {
  return local
    ? "The sound of this run is not in the store any more, and not in this page."
    : "The sound of this run is not in this page; the store is a server, whose page has it.";
}

function drawOthers(k) {
  const others = [...Object.keys(data.runs.inside).map((place) => starts.findLastIndex((at) => at <= Number(place))), ...state.visible.slice(0, 100)];
  const options = [...new Set(others)].filter((other) => other !== k && source(bestRun(other), "prediction"));
  by("other").replaceChildren(make("option", "none", { value: "" }), ...options.map((other) => make("option", short(`${other + 1}. ${labelOf(other)}`, 60), { value: other })));
}

function drawPictures(place) {
  const inside = (data.runs.inside[place] || {}).pictures || {};
  const shown = data.pictures.filter((name, n) => name in inside || (data.runs.figures[place] >> n) & 1);
  by("pictures").replaceChildren(
    ...shown.map((name) => {
      const url = name in inside ? `data:image/png;base64,${document.querySelectorAll("script.picture")[inside[name]].textContent}` : fileOf(place, `figures/${name}.png`);
      const image = make("img", null, { src: url, alt: `${name} of ${labelOf(open)}`, loading: "lazy" });
      image.addEventListener("error", () => image.replaceWith(make("p", `figures/${name}.png is not there any more.`, { class: "muted" })));
      return image;
    }),
  );
  if (!shown.length) by("pictures").append(make("p", "There are no figures of this run where this page can see them.", { class: "muted" }));
}

function drawLinks(k) {
  const items = Array.from({ length: data.configs[k].seeds }, (_, n) => {
    const place = starts[k] + n;
    const item = make("li", `${data.runs.name[place]}, seed ${data.runs.seed[place]}: ${main.title} ${written(main, main.values[place])} `);
    const link = local ? data.runs.page[place] && ["listening page", fileOf(place, "listen.html")] : data.base && ["on the server", `${data.base}/${data.runs.id[place]}`];
    if (link) item.append(make("a", link[0], { href: link[1] }));
    else if (local) item.append("(its listening page is not in the store)");
    return item;
  });
  by("run-links").replaceChildren(...items);
}

function drawScores(k) {
  const body = make("tbody");
  for (const metric of data.metrics) {
    const row = make("tr");
    row.append(make("th", metric.title, { scope: "row" }), make("td", written(metric, metric.mean[k])), make("td", interval(metric, k)), make("td", metric.meaning, { class: "left" }));
    body.append(row);
  }
  const head = make("tr");
  for (const title of ["score", "mean", "95 % of the mean", "meaning"]) head.append(make("th", title, { scope: "col", class: "left" }));
  by("run-scores").replaceChildren(make("thead"), body);
  by("run-scores").tHead.append(head);
}

// ---- begin ----

function fillSelects() {
  for (const id of ["x", "y"]) by(id).replaceChildren(...[...metrics.values()].map((metric) => make("option", metric.title, { value: metric.name })));
  const speed = ["real_time_factor", "parameters", ...data.metrics.map((metric) => metric.name)].find((name) => metrics.has(name) && name !== main.name);
  by("x").value = speed || main.name;
  by("y").value = main.name;
  by("colour").append(make("option", "none", { value: "" }), ...data.factors.map((factor) => make("option", factor.name, { value: factor.name })));
  const first = data.factors.find((factor) => factor.levels.length <= data.colours.length);
  by("colour").value = first ? first.name : "";
  by("curve").append(...Object.keys(data.curves).map((name) => make("option", name)));
  for (const id of ["x", "y", "colour"]) by(id).addEventListener("change", () => plotly && drawScatter());
  for (const id of ["curve", "curve-count"]) by(id).addEventListener("change", () => plotly && drawCurves());
}

async function loadLibrary() {
  const unpacked = new Blob([bytesOf(by("library").textContent)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = make("script", await new Response(unpacked).text());
  document.head.append(script);
  return window.Plotly;
}

function begin() {
  const library = loadLibrary(); // unpacked while the table is drawn
  const runs = data.runs.id.length;
  by("about").textContent = `${data.configs.length.toLocaleString("en")} configs, ${runs.toLocaleString("en")} runs, by test ${main.title} (${betterWord(main)})`;
  by("notes").replaceChildren(...data.notes.map((note) => make("li", note)));
  by("sentences").replaceChildren(...data.told.map((sentence) => make("li", sentence)));
  by("told").hidden = !data.told.length;
  by("table-note").textContent =
    "Means over the seeds, geometric for ratios such as ESR. “95 % of the mean”: Student's t of the config's own seeds. “To the best”: 95 % for all " +
    "configs at once; a tie is an interval that holds 0, so that the order of the two is not known.";
  by("foot").textContent = `ampsim ${data.version}, ${data.made}. Drawn by plotly.js (MIT licence), which is in this page; nothing is fetched from a network.`;
  makeFilters();
  fillSelects();
  drawTable();
  by("more").addEventListener("click", () => {
    state.shown = Infinity;
    drawTable();
  });
  by("all-scores").addEventListener("click", () => {
    state.all = !state.all;
    by("all-scores").setAttribute("aria-pressed", String(state.all));
    drawTable();
  });
  by("play").addEventListener("click", () => player.toggle(!player.playing));
  by("run").addEventListener("close", () => player.stop());
  by("other").addEventListener("change", () => {
    const other = by("other").value;
    for (const name of [...player.all.keys()]) if (name !== "amp" && name !== "this config") player.set(name, null);
    if (other !== "") player.set(`${Number(other) + 1}. ${labelOf(Number(other))}`, source(bestRun(Number(other)), "prediction"));
    if (!player.all.has(player.current)) player.choose("this config");
    drawVoices();
  });
  dark.addEventListener("change", drawCharts);
  document.body.classList.add("ready");
  library.then(
    (found) => {
      plotly = found;
      return drawCharts();
    },
    (error) => {
      by("trouble").hidden = false;
      by("trouble").textContent = `The charts cannot be drawn in this browser (${error.message}); table and sound work.`;
    },
  );
}

begin();

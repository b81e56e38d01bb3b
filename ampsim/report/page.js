// The page: what is chosen, and the controls and pictures that follow. Whatever names come with the data reach the
// document as text only, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const { signals, sampleRate: rate, duration } = data;
const AMP = data.amp; // the direct signal is before it, where there is one
const MODELS = signals.map((_, index) => index).slice(AMP + 1);
const state = {
  chosen: AMP,
  before: MODELS[0], // heard before the chosen one
  model: MODELS[0], // the model heard last
  loop: true,
  region: null,
  matched: true,
  zoomed: false,
  hidden: new Set(AMP ? [0] : []), // curves of the FFT comparison
};
let buffers = [];
let context = null;
let player = null;
const kept = new Map(); // spectrograms and spectra, which take a moment to compute

function coloured(element, index) {
  element.style.setProperty("--c", signals[index].colour);
  return element;
}

function swatch(index) {
  return coloured(h("i", { class: "swatch" }), index);
}

// ---- What is heard ----

function gains(matched = state.matched) {
  return signals.map((signal) => (matched ? signal.matched : signal.asRecorded));
}

function newContext() {
  try {
    return new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  } catch {
    return new AudioContext(); // a rate that this browser cannot play at: it converts
  }
}

/** The player, made when first needed: browsers want a click or a key before they make sound. */
function sound() {
  if (!player) {
    context = context || newContext();
    player = new Player(context, buffers, gains());
    player.choose(state.chosen, 0);
    player.restingAt = state.region ? state.region[0] : 0;
    player.onEnd = refresh;
  }
  return player;
}

function round() {
  return state.loop ? state.region || [0, duration] : null;
}

function play() {
  if (!buffers.length) return;
  sound();
  amp.stop();
  context.resume();
  player.playing ? player.stop() : player.start(player.restingAt, round());
  refresh();
  animate();
}

function seek(time) {
  const place = Math.min(duration, Math.max(0, time));
  if (sound().playing) player.start(place, round());
  else player.restingAt = place;
  moved();
}

function step(seconds) {
  seek(sound().position() + seconds);
}

function choose(index) {
  if (index === state.chosen || index >= signals.length) return;
  state.before = state.chosen;
  state.chosen = index;
  if (MODELS.includes(index)) state.model = index;
  if (player) player.choose(index);
  $("said").textContent = signals[index].name;
  refresh();
  draw();
}

function setRegion(region) {
  const [from, to] = region
    ? [Math.min(...region), Math.max(...region)].map((t) => Math.min(duration, Math.max(0, t)))
    : [];
  const long = region && to - from >= 0.05;
  state.region = long ? [from, to] : null;
  if (long) state.loop = true;
  if (!long) state.zoomed = false;
  followRegion();
}

function followRegion() {
  if (player && player.playing) player.keepOn(round());
  else if (state.region && buffers.length) sound().restingAt = state.region[0];
  refresh();
  moved();
  draw();
}

function toggle(what) {
  state[what] = !state[what];
  if (what === "matched" && player) player.setGains(gains());
  if (what === "loop" && player && player.playing) player.keepOn(round());
  refresh();
  draw();
}

function worstSecond() {
  const { time, esr } = data.curves[MODELS.indexOf(state.model)];
  if (!time.length) return;
  const middle = time[esr.indexOf(Math.max(...esr.map((value) => value ?? 0)))];
  const from = Math.max(0, Math.min(middle - 0.5, duration - 1));
  setRegion([from, from + 1]);
  choose(state.model);
}

// ---- Controls ----

$("about").append(
  `${clock(data.start)} to ${clock(data.start + duration)} of ${data.from} (${clock(data.total)} in all)`,
  ...Object.entries(data.facts).flatMap(([name, text]) => [" · ", h("span", {}, `${name} ${text}`)]),
);
$("notes").append(...data.notes.map((note) => h("li", {}, note)));
$("foot").append(`ampsim ${data.version}, ${data.made}. Page ${data.id}.`);
$("play").append(playIcon());

const buttons = signals.map((signal, index) => {
  const button = h(
    "button",
    { type: "button", class: "signal", title: signal.name, onclick: () => choose(index) },
    swatch(index),
    h("span", { class: "name" }, signal.name),
  );
  if (index < 9) button.append(h("kbd", {}, `${index + 1}`));
  return coloured(button, index);
});
$("signals").append(...buttons);

$("play").onclick = play;
$("loop").onclick = () => toggle("loop");
$("match").onclick = () => toggle("matched");
$("zoom").onclick = () => toggle("zoomed");
$("seek").max = duration;
$("seek").oninput = () => seek(Number($("seek").value));
$("weighted").onchange = draw;
// A button that was clicked gives the focus back, so that the space bar goes on meaning play.
document.addEventListener("click", (event) => {
  if (event.detail && !$("test").open) event.target.closest("main button, summary")?.blur();
});

function refresh() {
  const playing = Boolean(player && player.playing);
  $("play").classList.toggle("playing", playing);
  $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  $("loop").setAttribute("aria-pressed", state.loop);
  $("match").setAttribute("aria-pressed", state.matched);
  $("zoom").setAttribute("aria-pressed", state.zoomed);
  $("zoom").disabled = !state.region;
  buttons.forEach((button, index) => button.setAttribute("aria-pressed", index === state.chosen));
  waves.forEach(({ row }, index) => row.classList.toggle("chosen", index === state.chosen));
  heatOf.replaceChildren(swatch(state.chosen), signals[state.chosen].name);
  differenceOf.replaceChildren(
    h("span", {}, swatch(AMP), "the amp has more"),
    h("span", {}, swatch(state.model), `${signals[state.model].name} has more`),
  );
  for (const [index, handle] of handles.entries()) {
    handle.hidden = !state.region;
    if (!state.region) continue;
    handle.setAttribute("aria-valuenow", state.region[index].toFixed(2));
    handle.setAttribute("aria-valuetext", clock(state.region[index] + data.start, 2));
  }
}

const KEYS = {
  " ": play,
  ArrowLeft: (event) => step(event.shiftKey ? -0.1 : -1),
  ArrowRight: (event) => step(event.shiftKey ? 0.1 : 1),
  Home: () => seek(state.region ? state.region[0] : 0),
  "[": () =>
    setRegion([sound().position(), state.region ? Math.max(state.region[1], sound().position() + 0.05) : duration]),
  "]": () => setRegion([state.region ? Math.min(state.region[0], sound().position() - 0.05) : 0, sound().position()]),
  Escape: () => setRegion(null),
  l: () => toggle("loop"),
  m: () => toggle("matched"),
  z: () => state.region && toggle("zoomed"),
  w: worstSecond,
  x: () => choose(state.before),
  "?": () => {
    $("keys").open = !$("keys").open;
    if ($("keys").open) $("keys").scrollIntoView({ block: "center" });
  },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("test").open || !buffers.length) return;
  const { target, key } = event;
  if (target.closest("select, textarea, input[type=text]")) return;
  // Keys that the focused control has a use for are its own.
  if (key === " " && target.closest("button, summary, a, input[type=checkbox]")) return;
  if (/^(Arrow|Home)/.test(key) && target.closest("input, [role=slider], .scroll")) return;
  const action = KEYS[key] || (/^[1-9]$/.test(key) ? () => choose(Number(key) - 1) : null);
  if (!action) return;
  event.preventDefault();
  action(event);
});

// ---- The stack of pictures on one axis of time ----

function stackRow(className, ...title) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const row = h(
    "div",
    { class: `row ${className}` },
    h("div", { class: "gutter" }, ...title),
    h("div", { class: "plot" }, canvas),
  );
  $("stack").append(row);
  return { row, canvas };
}

const waves = signals.map((signal, index) => {
  const loudness = signal.loudness === null ? "" : `${signal.loudness.toFixed(1)} LUFS`.replace("-", "−");
  const made = stackRow("wave", h("b", {}, swatch(index), signal.name), h("span", { class: "muted" }, loudness));
  made.row.querySelector(".gutter").onclick = () => choose(index);
  return made;
});
const errors = stackRow(
  "errors",
  h("b", {}, "Error over time"),
  h("span", { class: "muted" }, "of a sliding second, over the mean energy of the amp; lower is better"),
  ...data.curves.map(({ whole }, k) =>
    h("span", { class: "key" }, swatch(MODELS[k]), `${signals[MODELS[k]].name} ${whole} here`),
  ),
);
const heatOf = h("span", { class: "key" });
const heatmap = stackRow(
  "heat",
  h("b", {}, "Spectrogram"),
  heatOf,
  h("span", { class: "muted" }, "level in dB"),
  h("span", { class: "bar", id: "heat-bar" }, h("span", {}), h("span", {})),
);
const differenceOf = h("span", { class: "key" });
const contrast = stackRow(
  "heat",
  h("b", {}, "Difference"),
  differenceOf,
  h(
    "span",
    { class: "bar diverging", id: "difference-bar" },
    h("span", {}, `−${DIFFERENCE_DB} dB`),
    h("span", {}, `+${DIFFERENCE_DB} dB`),
  ),
);
const times = stackRow("times", h("span", { class: "muted" }, "time in the recording"));

const head = h("div", { class: "head", hidden: "" });
const region = h("div", { class: "region", hidden: "" });
const handles = ["begins", "ends"].map((word, index) =>
  h("div", {
    class: `handle ${word}`,
    role: "slider",
    tabindex: "0",
    "aria-label": `The region ${word} (seconds)`,
    "aria-valuemin": "0",
    "aria-valuemax": duration.toFixed(2),
    onkeydown: (event) => {
      const direction = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!direction) return;
      event.preventDefault();
      const moved = [...state.region];
      moved[index] += direction * (event.shiftKey ? 0.01 : 0.1);
      if (moved[1] - moved[0] >= 0.05) setRegion(moved);
    },
  }),
);
region.append(...handles);
const overlay = h("div", { class: "overlay" }, region, head);
$("stack").append(overlay);

function view() {
  if (!state.zoomed || !state.region) return [0, duration];
  const margin = 0.04 * (state.region[1] - state.region[0]);
  return [Math.max(0, state.region[0] - margin), Math.min(duration, state.region[1] + margin)];
}

function timeAt(event) {
  const { left, width } = overlay.getBoundingClientRect();
  const [from, to] = view();
  return from + Math.min(1, Math.max(0, (event.clientX - left) / width)) * (to - from);
}

/** Where a time lies across the pictures: 0 at their left, 1 at their right. */
function across(time) {
  const [from, to] = view();
  return (time - from) / (to - from);
}

let drag = null;
$("stack").addEventListener("pointerdown", (event) => {
  const handle = event.target.closest(".handle");
  if (event.button !== 0 || !(handle || event.target.closest(".plot"))) return;
  // A dragged handle leaves the other end where it is.
  drag = {
    x: event.clientX,
    from: handle ? state.region[handles.indexOf(handle) ? 0 : 1] : timeAt(event),
    moved: Boolean(handle),
  };
  $("stack").setPointerCapture(event.pointerId);
});
$("stack").addEventListener("pointermove", (event) => {
  if (!drag) return;
  if (Math.abs(event.clientX - drag.x) > 4) drag.moved = true;
  if (drag.moved) showRegion([drag.from, timeAt(event)].sort((a, b) => a - b));
});
$("stack").addEventListener("pointerup", (event) => {
  if (!drag) return;
  const { from, moved: selected } = drag;
  drag = null;
  const time = timeAt(event);
  if (selected && Math.abs(time - from) >= 0.05) setRegion([from, time]);
  else {
    if (state.region && (time < state.region[0] || time > state.region[1])) setRegion(null);
    seek(time);
  }
});
$("stack").addEventListener("pointercancel", () => {
  drag = null;
  moved();
});

function showRegion(shown) {
  region.hidden = !shown;
  if (!shown) return;
  const [from, to] = shown.map((time) => 100 * across(time));
  region.style.left = `${from}%`;
  region.style.width = `${to - from}%`;
  region.classList.toggle("off", !state.loop);
}

/** Show where the music is. */
function moved() {
  const place = player ? player.position() : 0;
  $("time").textContent = clock(place + data.start);
  $("seek").value = place;
  $("seek").setAttribute("aria-valuetext", clock(place + data.start));
  const there = across(place);
  head.hidden = there < 0 || there > 1;
  head.style.left = `${100 * there}%`;
  if (!drag) showRegion(state.region);
}

let animating = false;
function animate() {
  if (animating) return;
  animating = true;
  const frame = () => {
    moved();
    animating = Boolean(player && player.playing);
    if (animating) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

// ---- Pictures ----

let drawing = 0;
function draw() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(() => {
    if (!buffers.length) return;
    drawStack();
    drawFrequency();
    moved();
  });
}

function samplesOf(index) {
  return buffers[index].getChannelData(0);
}

/** What `make` returned the last time for this key. */
function remembered(key, make) {
  if (!kept.has(key)) {
    if (kept.size > 6 * signals.length) kept.clear();
    kept.set(key, make());
  }
  return kept.get(key);
}

function grid(index, columns, rows) {
  const key = ["spectrogram", index, columns, rows, ...view()].join();
  return remembered(key, () => spectrogram(samplesOf(index), rate, view(), columns, rows));
}

function drawStack() {
  const [shown, levels] = [view(), gains()];
  waves.forEach(({ canvas }, index) => {
    // Each fills its row: what is compared here is when something happens, and its shape.
    const gain = 1 / Math.max(1e-6, peakOf(buffers[index]));
    drawWave(canvas, samplesOf(index), rate, gain, signals[index].colour, shown, index === state.chosen);
  });
  drawErrors(
    errors.canvas,
    data.curves.map((curve, k) => ({ ...curve, colour: signals[MODELS[k]].colour })),
    data.floors,
    shown,
  );
  const [columns, rows] = [Math.min(900, Math.max(120, heatmap.canvas.clientWidth)), 160];
  const power = levels.map((level) => level ** 2);
  const [here, amp, model] = [state.chosen, AMP, state.model].map((index) => grid(index, columns, rows));
  const top = decibels(amp.reduce((most, value) => Math.max(most, value), 0) * power[AMP]);
  const dark = paletteOf(HEAT);
  const heated = drawGrid(
    heatmap.canvas,
    columns,
    rows,
    dark,
    (k) => 1 + (decibels(here[k] * power[state.chosen]) - top) / SPAN_DB,
  );
  const onHeat = { colour: "#fff", halo: "rgba(0,0,0,.6)" };
  drawFrequencies(heated.pen, heated.height, rate, onHeat);
  const ends = $("heat-bar").children;
  ends[0].textContent = (top - SPAN_DB).toFixed(0).replace("-", "−");
  ends[1].textContent = top.toFixed(0).replace("-", "−");
  const floor = 10 ** ((top - SPAN_DB) / 10);
  const between = paletteOf([signals[AMP].colour, css("--panel"), signals[state.model].colour].map(rgb), 0.75);
  const contrasted = drawGrid(contrast.canvas, columns, rows, between, (k) => {
    const ratio = (model[k] * power[state.model] + floor) / (amp[k] * power[AMP] + floor);
    return 0.5 + decibels(ratio) / DIFFERENCE_DB / 2;
  });
  drawFrequencies(contrasted.pen, contrasted.height, rate, {});
  $("difference-bar").style.setProperty("--less", signals[AMP].colour);
  $("difference-bar").style.setProperty("--more", signals[state.model].colour);
  $("heat-bar").style.backgroundImage = `linear-gradient(to right, ${HEAT.map((c) => `rgb(${c})`).join()})`;
  drawTimes(times.canvas, shown, data.start);
}

let curves = [];
function drawFrequency() {
  const part = state.region && state.loop ? state.region : [0, duration];
  const weighted = $("weighted").checked;
  const levels = gains().map(decibelsOf);
  curves = signals.map(({ colour }, index) => {
    const power = remembered(["spectrum", index, ...part].join(), () => longTerm(samplesOf(index), rate, part));
    const points = power.map(([f, level]) => [f, level + levels[index] + (weighted ? aWeight(f) : 0)]);
    return { index, colour, points, thick: index === AMP };
  });
  const shown = curves.filter(({ index }) => !state.hidden.has(index));
  const top = Math.max(-140, ...shown.flatMap(({ points }) => points.map(([, level]) => level)));
  const to = Math.ceil(top / 10) * 10;
  drawSpectra($("spectra"), rate, shown, { from: to - 90, to, step: 20, unit: weighted ? "dB, A-weighted" : "dB" });
  const over = shown
    .filter(({ index }) => index > AMP)
    .map((each) => ({
      ...each,
      points: each.points.map(([frequency, level], k) => [frequency, level - curves[AMP].points[k][1]]),
    }));
  drawSpectra($("difference"), rate, over, { from: -18, to: 18, step: 6, unit: "model − amp, dB", zero: true });
  const where = part.map((time) => clock(time + data.start)).join(" to ");
  $("spectra-of").textContent =
    `Power spectra ${part === state.region ? `of the region, ${where}` : "of the whole excerpt"}.`;
}

function decibelsOf(gain) {
  return 20 * Math.log10(Math.max(gain, 1e-9));
}

function readOut(event) {
  const { left, width } = event.currentTarget.getBoundingClientRect();
  const part = (event.clientX - left - LEVELS.padding) / (width - LEVELS.padding);
  if (!curves.length || part < 0 || part > 1) return;
  const frequency = LEVELS.low * (rate / 2 / LEVELS.low) ** part;
  const values = curves
    .filter(({ index }) => !state.hidden.has(index))
    .map(({ index, points }) => {
      const [, level] = points.reduce((best, point) =>
        Math.abs(point[0] - frequency) < Math.abs(best[0] - frequency) ? point : best,
      );
      return `${signals[index].name} ${level.toFixed(1).replace("-", "−")} dB`;
    });
  const shown = frequency < 1000 ? `${frequency.toFixed(0)} Hz` : `${(frequency / 1000).toFixed(2)} kHz`;
  $("readout").textContent = `${shown}: ${values.join(", ")}`;
}
for (const id of ["spectra", "difference"]) {
  $(id).onpointermove = readOut;
  $(id).onpointerleave = () => ($("readout").textContent = "");
}

$("shown").append(
  ...signals.map((signal, index) => {
    const box = h("input", { type: "checkbox" });
    box.checked = !state.hidden.has(index);
    box.onchange = () => {
      box.checked ? state.hidden.delete(index) : state.hidden.add(index);
      draw();
    };
    return coloured(h("label", { class: "check" }, box, swatch(index), signal.name), index);
  }),
);

// ---- Scores, configs ----

$("scores").hidden = !data.table.length;
$("table").append(
  h(
    "thead",
    {},
    h(
      "tr",
      {},
      h("td"),
      ...MODELS.map((index) => h("th", { scope: "col" }, swatch(index), signals[index].name)),
      h("td", { class: "meaning" }),
    ),
  ),
  h(
    "tbody",
    {},
    ...data.table.flatMap(({ label: name, meaning, cells, best }) => [
      h(
        "tr",
        {},
        h("th", { scope: "row", title: meaning }, name),
        ...cells.map((cell, k) => h("td", { class: best.includes(k) ? "best" : "" }, cell)),
        h("td", { class: "meaning muted" }, meaning),
      ),
      // On a narrow screen in place of the last column.
      h("tr", { class: "meaning" }, h("td", { colspan: cells.length + 1, class: "muted" }, h("span", {}, meaning))),
    ]),
  ),
);
$("configs").append(
  ...Object.entries(data.configs).map(([name, text]) =>
    h("details", {}, h("summary", {}, `Config of ${name}`), h("pre", { tabindex: "0" }, text)),
  ),
);

// ---- Blind tests and votes ----

for (const [id, selected] of [
  ["abx-a", AMP],
  ["abx-b", MODELS[0]],
]) {
  $(id).append(...signals.map((signal, index) => h("option", { value: index }, signal.name)));
  $(id).value = selected;
}

function testSound(index) {
  return { name: signals[index].name, buffer: buffers[index], gain: signals[index].matched };
}

function hush() {
  if (player) player.stop();
  amp.stop();
  context = context || newContext();
  context.resume();
  refresh();
}

// Plain buttons and no forms: MLflow's sandbox lets no form be sent, not even to the page itself.
$("start-abx").onclick = () => {
  const pair = ["abx-a", "abx-b"].map((id) => Number($(id).value));
  $("abx-trouble").hidden = pair[0] !== pair[1];
  if (pair[0] === pair[1]) return;
  hush();
  startAbx(context, pair.map(testSound), state.region || [0, duration], Number($("abx-trials").value), showVotes);
};
$("start-mushra").onclick = async () => {
  hush();
  const anchors = anchorsHz(buffers[AMP].sampleRate).map(async (hz, k) => ({
    kind: ["anchor", "mid_anchor"][k],
    name: `anchor of ${hz / 1000} kHz`,
    buffer: await anchor(buffers[AMP], hz),
    gain: signals[AMP].matched,
  }));
  const models = MODELS.map((index) => ({ kind: "model", ...testSound(index) }));
  const sounds = [{ kind: "reference", ...testSound(AMP) }, ...(await Promise.all(anchors)), ...models];
  startMushra(context, sounds, duration, showVotes);
};

let address = "";
let saved = true;
function showVotes() {
  const numbers = [ballot.abx, ballot.mushra].map((tests) => tests.reduce((sum, { trials }) => sum + trials.length, 0));
  saved = !(numbers[0] + numbers[1]);
  $("votes").hidden = saved;
  const counted = ["ABX trial", "rated excerpt"].map(
    (what, k) => `${numbers[k]} ${what}${numbers[k] === 1 ? "" : "s"}`,
  );
  $("votes-sum").textContent = `${counted.join(", ")}. They are lost with this page unless you save them.`;
  const text = JSON.stringify(votes(data, $("listener").value));
  $("text").value = text;
  URL.revokeObjectURL(address);
  address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const who = $("listener")
    .value.trim()
    .replace(/[^\p{L}\p{N}]+/gu, "-");
  $("download").href = address;
  $("download").download = `votes-${data.id}${who ? `-${who}` : ""}.json`;
}
$("listener").oninput = showVotes;
$("download").onclick = () => (saved = true);
addEventListener("beforeunload", (event) => saved || event.preventDefault());
$("copy").onclick = () => {
  $("text").select();
  const copied = document.execCommand("copy"); // the newer clipboard is closed to a sandboxed frame
  saved = saved || copied;
  $("copy").textContent = copied ? "Copied" : "Press Ctrl+C";
  setTimeout(() => ($("copy").textContent = "Copy"), 2000);
};

// ---- Begin ----

document.addEventListener("amp-starts", () => {
  if (player) player.stop();
  refresh();
});
refresh();
decoded(signals, [...document.querySelectorAll("script.audio")], rate)
  .then((made) => {
    buffers = made;
    if (AMP)
      amp.offer(
        samplesOf(0).map((sample) => signals[0].scale * sample),
        rate,
      );
    for (const button of document.querySelectorAll("#play, #start-abx, #start-mushra")) button.disabled = false;
    new ResizeObserver(draw).observe($("stack"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.body.classList.add("ready");
  })
  .catch((error) => {
    $("trouble").hidden = false;
    $("trouble").textContent = `This browser cannot decode the audio in this page (FLAC): ${error.message}`;
  });

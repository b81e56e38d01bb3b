// The pictures: drawn on canvas from the same samples that are heard, at the level at which they are heard.

const { fourier } = engine();
const SPAN_DB = 75; // of the spectrogram's colours
const DIFFERENCE_DB = 15;
const LOW_HZ = 50;
// From silence to the loudest; of even steps in lightness, so that it reads without colour vision.
const HEAT = [
  [9, 9, 18],
  [46, 18, 82],
  [117, 30, 109],
  [193, 58, 80],
  [240, 121, 44],
  [250, 196, 84],
  [252, 250, 205],
];

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A canvas ready to be drawn on in CSS pixels, sharp on any screen. */
function fresh(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.font = `11px ${css("--font")}`;
  pen.lineJoin = "round";
  return { pen, width, height };
}

/** A label that stays legible on whatever lies under it. */
function label(pen, text, x, y, { colour = css("--muted"), halo = css("--panel"), align = "left" } = {}) {
  pen.textAlign = align;
  pen.textBaseline = "middle";
  pen.lineWidth = 3;
  pen.strokeStyle = halo;
  pen.strokeText(text, x, y);
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

/** Round steps of time, so that about one in `spacing` pixels has a label. */
function timeSteps([from, to], width, spacing = 80) {
  const rough = ((to - from) * spacing) / Math.max(1, width);
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60].find((each) => each >= rough) || 120;
  const first = Math.ceil(from / step - 1e-9) * step;
  const times = [];
  for (let time = first; time <= to + 1e-9; time += step) times.push(time);
  return { times, digits: step < 0.1 ? 2 : step < 1 ? 1 : 0 };
}

function kilohertz(frequency) {
  return frequency >= 1000 ? `${frequency / 1000}k` : `${frequency}`;
}

// ---- On the axis of time ----

function drawWave(canvas, samples, rate, gain, colour, view, active) {
  const { pen, width, height } = fresh(canvas);
  const [first, last] = view.map((time) => time * rate);
  const middle = height / 2;
  pen.fillStyle = colour;
  pen.globalAlpha = active ? 1 : 0.55;
  pen.beginPath();
  const low = new Float32Array(Math.ceil(width));
  for (let x = 0; x < width; x++) {
    const begin = Math.floor(first + ((last - first) * x) / width);
    const end = Math.min(samples.length, Math.max(begin + 1, Math.floor(first + ((last - first) * (x + 1)) / width)));
    let [least, most] = [0, 0];
    for (let k = begin; k < end; k++) {
      if (samples[k] < least) least = samples[k];
      if (samples[k] > most) most = samples[k];
    }
    low[x] = middle - Math.min(-0.4, least * gain * middle);
    pen.lineTo(x, middle - Math.max(0.4, most * gain * middle));
  }
  for (let x = low.length - 1; x >= 0; x--) pen.lineTo(x, low[x]);
  pen.fill();
}

function drawErrors(canvas, curves, floors, view) {
  const { pen, width, height } = fresh(canvas);
  const values = curves.flatMap(({ esr }) => esr.filter((value) => value > 0));
  if (!values.length) return label(pen, "no error to show", 8, height / 2);
  const shown = floors.filter(({ esr }) => esr > Math.min(...values) / 30 && esr < Math.max(...values) * 30);
  const all = [...values, ...shown.map(({ esr }) => esr)];
  const [low, high] = [Math.log10(Math.min(...all)) - 0.12, Math.log10(Math.max(...all)) + 0.15];
  const y = (value) => height - 4 - ((Math.log10(value) - low) / Math.max(high - low, 0.3)) * (height - 8);
  const x = (time) => ((time - view[0]) / (view[1] - view[0])) * width;
  pen.lineWidth = 1;
  const grid = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const digit of high - low < 1.3 ? [1, 2, 5] : [1]) {
      const value = digit * 10 ** power;
      if (Math.log10(value) > low && Math.log10(value) < high) grid.push(value);
    }
  }
  pen.strokeStyle = css("--line");
  for (const value of grid)
    line(pen, [
      [0, y(value)],
      [width, y(value)],
    ]);
  pen.setLineDash([5, 4]);
  pen.strokeStyle = css("--muted");
  for (const { esr } of shown)
    line(pen, [
      [0, y(esr)],
      [width, y(esr)],
    ]);
  pen.setLineDash([]);
  pen.lineWidth = 2;
  for (const { colour, time, esr } of curves) {
    pen.strokeStyle = colour;
    const points = time.map((t, k) => [x(t), esr[k] > 0 ? y(esr[k]) : null]).filter(([, height]) => height !== null);
    line(pen, points);
    if (points.length === 1) dot(pen, points[0], colour);
  }
  for (const value of grid) label(pen, `${Number(value.toPrecision(1))}`, 6, y(value));
  for (const { name, esr } of shown)
    label(pen, `${name} ${Number(esr.toPrecision(2))}`, width - 6, y(esr) + (y(esr) < 18 ? 9 : -9), { align: "right" });
}

function line(pen, points) {
  pen.beginPath();
  for (const [x, y] of points) pen.lineTo(x, y);
  pen.stroke();
}

function dot(pen, [x, y], colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, 3, 0, 7);
  pen.fill();
}

function drawTimes(canvas, view, offset) {
  const { pen, width, height } = fresh(canvas);
  const shifted = view.map((time) => time + offset);
  const { times, digits } = timeSteps(shifted, width);
  pen.strokeStyle = css("--muted");
  pen.lineWidth = 1;
  for (const time of times) {
    const x = ((time - shifted[0]) / (shifted[1] - shifted[0])) * width;
    line(pen, [
      [x, 0],
      [x, 4],
    ]);
    const align = x < 14 ? "left" : x > width - 14 ? "right" : "center";
    label(pen, clock(time, digits), x, height / 2 + 3, { align, halo: "transparent" });
  }
}

/** Levels (power, a full-scale sine is 1) in rows of log frequency, lowest first, of columns of equal time. */
function spectrogram(samples, rate, view, columns, rows) {
  const size = 2 ** Math.round(Math.log2(0.04 * rate));
  const frame = analyser(size);
  const bands = logBands(rows, size, rate);
  const grid = new Float32Array(columns * rows);
  for (let column = 0; column < columns; column++) {
    const middle = view[0] + ((view[1] - view[0]) * (column + 0.5)) / columns;
    const power = frame(samples, Math.round(middle * rate) - size / 2);
    for (let row = 0; row < rows; row++) grid[row * columns + column] = bands[row](power);
  }
  return grid;
}

/** For each row a function from a power spectrum to its level there: the largest of its bins, or between two. */
function logBands(rows, size, rate) {
  const edge = (row) => (LOW_HZ * (rate / 2 / LOW_HZ) ** (row / rows) * size) / rate;
  return Array.from({ length: rows }, (_, row) => {
    const [first, last] = [Math.ceil(edge(row)), Math.min(size / 2, Math.floor(edge(row + 1)))];
    if (last > first) {
      return (power) => {
        let most = 0;
        for (let bin = first; bin <= last; bin++) if (power[bin] > most) most = power[bin];
        return most;
      };
    }
    const place = edge(row + 0.5);
    const below = Math.min(size / 2 - 1, Math.floor(place));
    return (power) => power[below] + (place - below) * (power[below + 1] - power[below]);
  });
}

/** `partOf` a cell, 0 to 1, is its place in a palette. */
function drawGrid(canvas, columns, rows, palette, partOf) {
  const { pen, width, height } = fresh(canvas);
  const picture = new ImageData(columns, rows);
  const pixels = new Uint32Array(picture.data.buffer);
  const last = palette.length - 1;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const part = Math.min(1, Math.max(0, partOf(row * columns + column)));
      pixels[(rows - 1 - row) * columns + column] = palette[Math.round(part * last)];
    }
  }
  const small = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
  small.getContext("2d").putImageData(picture, 0, 0);
  pen.drawImage(small, 0, 0, width, height);
  return { pen, width, height };
}

function drawFrequencies(pen, height, rate, style) {
  for (const frequency of [100, 1000, 5000, 10000, 20000]) {
    const y = height * (1 - Math.log(frequency / LOW_HZ) / Math.log(rate / 2 / LOW_HZ));
    if (y > 8 && y < height - 6) label(pen, kilohertz(frequency), 6, y, style);
  }
}

/** Pixels between colours [red, green, blue] in even steps; `bend` below 1 leaves the middle one sooner. */
function paletteOf(colours, bend = 1) {
  return Uint32Array.from({ length: 255 }, (_, k) => {
    const side = (k - 127) / 127;
    const place = ((1 + Math.sign(side) * Math.abs(side) ** bend) / 2) * (colours.length - 1);
    const low = Math.min(colours.length - 2, Math.floor(place));
    const [red, green, blue] = colours[low].map(
      (value, channel) => value + (place - low) * (colours[low + 1][channel] - value),
    );
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}

function rgb(colour) {
  return [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
}

function decibels(power) {
  return 10 * Math.log10(Math.max(power, 1e-14));
}

// ---- On the axis of frequency ----

/** Long-term power spectrum: [frequency in Hz, level in dB] every 24th of an octave, or every bin at the low end. */
function longTerm(samples, rate, [from, to]) {
  const [begin, end] = [Math.round(from * rate), Math.round(to * rate)];
  const size = 2 ** Math.max(5, Math.min(13, Math.floor(Math.log2(end - begin))));
  const frame = analyser(size);
  const total = new Float64Array(size / 2 + 1);
  // Half a window on, or farther where a hundred of them are enough.
  const step = Math.max(size / 2, Math.floor((end - begin) / 100));
  let frames = 0;
  for (let start = begin; start + size <= end || frames === 0; start += step) {
    const power = frame(samples, start);
    for (let bin = 0; bin <= size / 2; bin++) total[bin] += power[bin];
    frames++;
  }
  const points = [];
  let bin = Math.max(1, Math.ceil((40 * size) / rate));
  while (bin < size / 2) {
    const next = Math.max(bin + 1, Math.min(size / 2, Math.round(bin * 2 ** (1 / 24))));
    let power = 0;
    for (let k = bin; k < next; k++) power += total[k] / frames / (next - bin);
    points.push([(((bin + next - 1) / 2) * rate) / size, decibels(power)]);
    bin = next;
  }
  return points;
}

/** IEC 61672's A-weighting in dB. */
function aWeight(frequency) {
  const f = frequency ** 2;
  const [a, b, c, d] = [20.6, 107.7, 737.9, 12194].map((corner) => corner ** 2);
  return 20 * Math.log10((d * f * f) / ((f + a) * Math.sqrt((f + b) * (f + c)) * (f + d))) + 2.0;
}

const LEVELS = { padding: 34, low: 40 };

function drawSpectra(canvas, rate, lines, { from, to, step, unit, zero }) {
  const { pen, width, height } = fresh(canvas);
  const high = rate / 2;
  const x = (frequency) => LEVELS.padding + spectrumPlace(frequency, high) * (width - LEVELS.padding);
  const y = (level) => 6 + ((to - level) / (to - from)) * (height - 26);
  pen.lineWidth = 1;
  pen.strokeStyle = css("--line");
  for (let level = Math.ceil(from / step) * step; level <= to; level += step) {
    line(pen, [
      [LEVELS.padding, y(level)],
      [width, y(level)],
    ]);
    label(pen, `${level}`.replace("-", "−"), LEVELS.padding - 6, y(level), { align: "right", halo: "transparent" });
  }
  for (const frequency of [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000]) {
    if (frequency > high) continue;
    line(pen, [
      [x(frequency), 6],
      [x(frequency), height - 20],
    ]);
    const align = x(frequency) > width - 12 ? "right" : "center";
    if (width > 500 || !/^[25]/.test(`${frequency}`))
      label(pen, kilohertz(frequency), x(frequency), height - 9, { align, halo: "transparent" });
  }
  if (zero) {
    pen.strokeStyle = css("--muted");
    line(pen, [
      [LEVELS.padding, y(0)],
      [width, y(0)],
    ]);
  }
  pen.save();
  pen.beginPath();
  pen.rect(LEVELS.padding, 6, width - LEVELS.padding, height - 26);
  pen.clip();
  for (const { colour, points, thick } of lines) {
    pen.strokeStyle = colour;
    pen.lineWidth = thick ? 4 : 1.5;
    line(
      pen,
      points.map(([frequency, level]) => [x(frequency), y(level)]),
    );
  }
  pen.restore();
  label(pen, unit, LEVELS.padding + 6, 14);
}

function spectrumPlace(frequency, high) {
  return Math.log(frequency / LEVELS.low) / Math.log(high / LEVELS.low);
}

// ---- Fourier ----

/** A function from samples and a start to the power spectrum of a Hann window there; a full-scale sine peaks at 1. */
function analyser(size) {
  const window = Float32Array.from({ length: size }, (_, k) => (2 / size) * (1 - Math.cos((2 * Math.PI * k) / size)));
  const [re, im, power] = [new Float32Array(size), new Float32Array(size), new Float32Array(size / 2 + 1)];
  const transform = fourier(size);
  return (samples, start) => {
    for (let k = 0; k < size; k++) {
      re[k] = (samples[start + k] || 0) * window[k];
      im[k] = 0;
    }
    transform(re, im);
    for (let bin = 0; bin <= size / 2; bin++) power[bin] = re[bin] ** 2 + im[bin] ** 2;
    return power;
  };
}

// The sound. All signals always play, from one instant on and in time with each other to the sample; what is switched
// is only which of them is heard.
//
//   buffer -> source -> deck gain -> bus gain -> master -> destination
//
// A "deck" is one pass of all signals from some offset on: seeking fades one deck out while the next fades in. A "bus"
// is one signal's gain: its listening level while it is chosen, else 0. Gains are ramps that are only ever appended, in
// order, none is taken back: so whatever is pressed while a fade is going on waits those few milliseconds for its end.

const FADE_S = 0.01; // linear: these signals are alike, so equal gains keep the level of their sum
const AHEAD_S = 0.02; // what is scheduled lies this far ahead, so that no part of a fade is past when it is heard of

class Player {
  /** buffers: AudioBuffers of one length; gains: the level at which to hear each. Plays nothing yet. */
  constructor(context, buffers, gains) {
    this.context = context;
    this.buffers = buffers;
    this.gains = gains;
    this.chosen = 0;
    this.deck = null;
    this.restingAt = 0; // where it would go on, in seconds of the excerpt
    this.onEnd = () => {};
    this.master = context.createGain();
    this.master.connect(context.destination);
    this.levels = gains.map((gain, index) => (index === 0 ? gain : 0));
    this.fadesUntil = 0;
    this.loops = new Map();
    this.buses = this.levels.map((level) => {
      const bus = context.createGain();
      bus.gain.setValueAtTime(level, 0);
      bus.connect(this.master);
      return bus;
    });
  }

  get duration() {
    return this.buffers[0].duration;
  }

  get playing() {
    return this.deck !== null;
  }

  /** The earliest instant that can be scheduled for, on a sample. */
  soon() {
    const ahead = Math.max(AHEAD_S, this.context.baseLatency || 0);
    return this.onSample(this.context.currentTime + ahead);
  }

  onSample(time) {
    return Math.round(time * this.context.sampleRate) / this.context.sampleRate;
  }

  /** Hear another signal, at the same instant of the music. */
  choose(index, at = this.soon()) {
    this.chosen = index;
    this.fade(at);
  }

  setGains(gains, at = this.soon()) {
    this.gains = gains;
    this.fade(at);
  }

  fade(at) {
    const start = Math.max(at, this.fadesUntil);
    const wanted = this.gains.map((gain, index) => (index === this.chosen ? gain : 0));
    if (wanted.every((level, index) => level === this.levels[index])) return;
    this.buses.forEach((bus, index) => ramp(bus.gain, this.levels[index], wanted[index], start));
    this.levels = wanted;
    this.fadesUntil = start + FADE_S;
  }

  /** Play from an offset; with a region [from, to] round and round inside it. What is playing fades out meanwhile. */
  start(offset, region = null, at = this.soon()) {
    if (this.deck) at = Math.max(at, this.deck.fadedIn);
    this.stop(at);
    const round = region ? region.map((time) => this.onBuffer(time)) : null;
    if (round && (offset < round[0] || offset >= round[1])) offset = round[0];
    if (!round && offset >= this.duration) offset = 0;
    offset = this.onBuffer(offset);
    const deck = { at, offset, region: round, fadedIn: at + FADE_S };
    deck.parts = this.buses.map((bus, index) => {
      const gain = this.context.createGain();
      gain.gain.setValueAtTime(0, 0);
      ramp(gain.gain, 0, 1, at);
      const source = this.context.createBufferSource();
      source.buffer = round ? this.loop(index, round) : this.buffers[index];
      source.loop = round !== null;
      source.connect(gain).connect(bus);
      source.start(at, round ? offset - round[0] : offset);
      return { source, gain };
    });
    deck.parts[0].source.onended = () => {
      if (this.deck !== deck) return;
      this.deck = null;
      this.restingAt = 0;
      this.onEnd();
    };
    this.deck = deck;
  }

  stop(at = this.soon()) {
    const deck = this.deck;
    if (!deck) return;
    at = Math.max(at, deck.fadedIn);
    this.restingAt = this.position(at);
    for (const { source, gain } of deck.parts) {
      ramp(gain.gain, 1, 0, at);
      source.stop(at + FADE_S);
    }
    this.deck = null;
  }

  /** Go on at the same place of the music with another region, or with none. */
  keepOn(region) {
    const at = Math.max(this.soon(), this.deck ? this.deck.fadedIn : 0);
    this.start(this.position(at), region, at);
  }

  /** The place in the excerpt, in seconds: of what is scheduled for `time`, or of what is heard now. */
  position(time = this.context.currentTime - (this.context.outputLatency || 0)) {
    if (!this.deck) return this.restingAt;
    const { at, offset, region } = this.deck;
    const place = offset + Math.max(0, time - at);
    if (!region || place < region[1]) return Math.min(place, this.duration);
    return region[0] + ((place - region[0]) % (region[1] - region[0]));
  }

  onBuffer(time) {
    const { sampleRate, length } = this.buffers[0];
    return Math.min(length, Math.max(0, Math.round(time * sampleRate))) / sampleRate;
  }

  loop(index, region) {
    const key = `${index}:${region}`;
    if (!this.loops.has(key)) {
      if (this.loops.size > 4 * this.buffers.length) this.loops.clear();
      this.loops.set(key, looped(this.context, this.buffers[index], region));
    }
    return this.loops.get(key);
  }
}

function ramp(param, from, to, at) {
  param.setValueAtTime(from, at);
  param.linearRampToValueAtTime(to, at + FADE_S);
}

/** A region of a buffer whose end fades into what comes before its beginning, so that it repeats without a click. */
function looped(context, buffer, [start, end]) {
  const rate = buffer.sampleRate;
  const from = Math.round(start * rate);
  const all = buffer.getChannelData(0);
  const part = all.slice(from, Math.round(end * rate));
  const fade = Math.min(Math.round(FADE_S * rate), part.length >> 1);
  for (let k = 0; k < fade; k++) {
    const before = from - fade + k;
    const weight = (k + 1) / fade;
    const place = part.length - fade + k;
    part[place] = (1 - weight) * part[place] + weight * (before >= 0 ? all[before] : 0);
  }
  const made = context.createBuffer(1, part.length, rate);
  made.copyToChannel(part, 0);
  return made;
}

/** The signals of the page as AudioBuffers. A signal that is stored as its difference from another has that added. */
async function decoded(signals, islands, sampleRate) {
  const decoder = new OfflineAudioContext(1, 1, sampleRate);
  const buffers = await Promise.all(
    islands.map((island) => {
      const bytes = bytesOf(island.textContent);
      island.remove(); // megabytes that nobody reads again
      return decoder.decodeAudioData(bytes.buffer);
    }),
  );
  signals.forEach(({ plus }, index) => {
    if (plus === null) return;
    const [sum, other] = [buffers[index].getChannelData(0), buffers[plus].getChannelData(0)];
    for (let k = 0; k < sum.length; k++) sum[k] += other[k];
  });
  return buffers;
}

/** Where BS.1534's low and mid-range anchors end: at 3.5 and 7 kHz (lower for low rates). */
function anchorsHz(sampleRate) {
  return [3500, 7000].map((hz) => Math.round(Math.min(hz, (0.15 * sampleRate * hz) / 3500)));
}

/** An anchor of BS.1534: a low-pass up to `pass`, 25 dB down 1/7 above it (4 and 8 kHz) and 50 dB 2/7 above. */
async function anchor(buffer, pass) {
  const { sampleRate: rate, length } = buffer;
  const width = pass / 7;
  // Kaiser's design for 60 dB: beta 5.65, and this many taps for the width of the transition.
  const half = Math.ceil(52 / (2.285 * 2 * Math.PI * (width / rate)) / 2);
  const cut = (2 * (pass + width / 2)) / rate;
  const taps = Float32Array.from({ length: 2 * half + 1 }, (_, k) => {
    const x = k - half;
    const sinc = x === 0 ? cut : Math.sin(Math.PI * cut * x) / (Math.PI * x);
    return (sinc * bessel(5.65 * Math.sqrt(1 - (x / half) ** 2))) / bessel(5.65);
  });
  const context = new OfflineAudioContext(1, length + half, rate);
  const response = context.createBuffer(1, taps.length, rate);
  response.copyToChannel(taps, 0);
  const filter = new ConvolverNode(context, { buffer: response, disableNormalization: true });
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(filter).connect(context.destination);
  source.start();
  const late = await context.startRendering();
  const made = context.createBuffer(1, length, rate);
  made.copyToChannel(late.getChannelData(0).subarray(half, half + length), 0);
  return made;
}

function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; k < 30; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
}

function peakOf(buffer) {
  let peak = 0;
  for (const sample of buffer.getChannelData(0)) peak = Math.max(peak, Math.abs(sample));
  return peak;
}

// Play it: the page's models on a file, live or rendered. What sounds live is made anew each time: an AudioWorklet that
// holds `engine` or, where a browser refuses that, the same on the page's own thread, which is later. (Chromium refuses it
// to a page from disk: only a `data:` address would do there, and a policy that lets scripts come from one lets any.)
// Rendering runs on the page's thread, a few milliseconds at a time.

/** What runs on the audio thread, as text: only `engine` is there with it. */
function audioThread(Stage, BLOCK) {
  const MESSAGE = 16; // blocks between two reports of the meters

  class Processor extends AudioWorkletProcessor {
    constructor({ processorOptions: { model, code, settings } }) {
      super();
      this.stage = new Stage(model, code);
      this.settings = settings;
      this.block = new Float32Array(BLOCK);
      [this.blocks, this.peaks] = [0, [0, 0]];
      this.port.onmessage = ({ data: { settings, other } }) => {
        if (settings) this.settings = settings;
        if (other) this.stage.amp.become(other);
      };
    }

    process([channels], [[output]]) {
      const input = channels[this.settings.channel] || channels[0];
      input ? this.block.set(input) : this.block.fill(0);
      const peaks = this.stage.play(this.block, this.settings);
      output.set(this.block);
      this.peaks = this.peaks.map((most, k) => Math.max(most, peaks[k]));
      if (++this.blocks % MESSAGE === 0) {
        this.port.postMessage(this.peaks);
        this.peaks = [0, 0];
      }
      return true;
    }
  }
  registerProcessor("amp", Processor);
}

function ampPlayer({ models: packed, missing, kernel }) {
  const { Stage, BLOCK, contents, turned } = engine();
  const SLICE_MS = 25; // of rendering, before the page gets a turn
  const TRIAL_S = 0.25; // of playing, which tells how fast this machine is
  const ENOUGH = 1.5; // times real time, below which live playing drops out
  // Bytes by how a file begins, half an hour of stereo or so: a browser decodes it in one piece.
  const LARGEST = { RIFF: 300e6, FORM: 300e6, fLaC: 150e6 };
  const LARGEST_OTHER = 30e6; // compressed
  const FLOOR_DB = -60;
  const PAGE_BLOCK = 1024; // samples at a time on the page's own thread

  const models = packed.map(unpacked);
  const code = kernel ? bytesOf(kernel) : null;
  const speeds = new Map();
  const settingOf = new Map(models.map((each) => [each, (each.controls || []).map(({ value }) => value)]));
  let current = null; // the chosen model at its setting
  let source = null; // { name, decode, buffer } of a file, or { name, live: true }
  let sounding = null; // what plays now: { context, node, from, stream, began }
  let [choosing, starting] = [0, 0]; // how often each was asked for: the newest counts
  let rendering = null;
  let result = ""; // the address of what was rendered
  let restingAt = 0; // seconds of the file

  // ---- What the page holds ----

  function floats(text) {
    return new Float32Array(bytesOf(text).buffer);
  }

  function unpacked({ net, response, ...facts }) {
    return {
      ...facts,
      net: net && { ...net, weights: floats(net.weights) },
      response: response && floats(response),
      ...(facts.controls && {
        function: floats(facts.function),
        directions: facts.directions.map((each) => ({
          weights: each.weights && floats(each.weights),
          response: each.response && floats(each.response),
        })),
      }),
    };
  }

  function chosenModel() {
    return models[Number($("amp-model").value) || 0];
  }

  function model() {
    if (!current || current.name !== chosenModel().name) current = turned(chosenModel(), settingOf.get(chosenModel()));
    return current;
  }

  function gain(id) {
    return 10 ** (Number($(id).value) / 20);
  }

  function settings() {
    return {
      input: gain("amp-input"),
      output: gain("amp-output"),
      wet: $("amp-bypass").getAttribute("aria-pressed") === "true" ? 0 : 1,
      channel: Number($("amp-channel").value),
    };
  }

  function trouble(text = "") {
    $("amp-trouble").hidden = !text;
    $("amp-trouble").textContent = text;
  }

  /** Do something that the browser may refuse, and say so. */
  async function attempt(act) {
    trouble();
    try {
      return await act();
    } catch (error) {
      stop();
      trouble(error.message);
      return null;
    }
  }

  // ---- What is played ----

  async function choose(chosen) {
    const turn = ++choosing;
    stop();
    cancel();
    restingAt = 0;
    source = null;
    refresh();
    $("amp-source").textContent = `Reading ${chosen.name} …`;
    await attempt(async () => {
      if (chosen.decode) chosen.buffer = await chosen.decode(model().sampleRate);
      if (turn !== choosing) return;
      $("amp-speed").textContent = listedSpeed();
      source = chosen;
    });
    refresh();
  }

  function ofFile(file) {
    return {
      name: file.name,
      decode: async (rate) => {
        const most = LARGEST[await file.slice(0, 4).text()] || LARGEST_OTHER;
        if (file.size > most)
          throw new Error(
            `${file.name} is larger than ${most / 1e6} MB: cut it, or use ampsim render for files of any length.`,
          );
        try {
          return await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer());
        } catch {
          throw new Error(`This browser cannot read ${file.name} as audio: try a WAV file.`);
        }
      },
    };
  }

  function listed() {
    const { live, name, buffer } = source;
    if (live) return `${name}. Use headphones.`;
    const { sampleRate, length, numberOfChannels } = buffer;
    const two = numberOfChannels > 1 ? `, ${numberOfChannels} channels, of which one is played` : "";
    return `${name}: ${clock(length / sampleRate)} at the model's ${sampleRate.toLocaleString("en")} Hz${two}.`;
  }

  /** How many times faster than real time this machine plays a model; found out once. */
  function speed(played) {
    if (!speeds.has(played)) {
      const stage = new Stage(played, code);
      const block = new Float32Array(BLOCK);
      const most = (TRIAL_S * played.sampleRate) / BLOCK;
      const began = performance.now();
      const elapsed = () => Math.max(1e-4, (performance.now() - began) / 1000);
      let blocks = 0;
      for (; blocks < most && elapsed() < 4 * TRIAL_S; blocks++) stage.play(block.fill(1e-3), settings());
      speeds.set(played, { fast: stage.amp.voice.kernel.fast, times: (blocks * BLOCK) / played.sampleRate / elapsed() });
    }
    return speeds.get(played);
  }

  function listedSpeed() {
    const { times, fast } = speed(chosenModel());
    return [
      `This machine plays the model at ${times.toFixed(times < 3 ? 1 : 0)} times real time.`,
      times < ENOUGH ? "Live playing will drop out; rendering works." : "",
      fast ? "" : "This browser lacks WebAssembly with SIMD, which is many times faster.",
    ].join(" ");
  }

  // ---- Live ----

  async function start() {
    stop();
    const turn = ++starting;
    document.dispatchEvent(new Event("amp-starts"));
    await attempt(async () => {
      const [played, from] = [model(), source]; // which may be others before all is there
      const context = new AudioContext({ sampleRate: played.sampleRate, latencyHint: "interactive" });
      const made = { context, stream: null };
      context.resume(); // at once, while the browser still knows of the click
      try {
        await connected(made, played, from);
      } catch (error) {
        end(made);
        if (turn !== starting) return;
        throw error;
      }
      if (turn === starting) sounding = made;
      else end(made);
    });
    refresh();
  }

  async function connected(made, played, from) {
    const { context } = made;
    await onAudioThread(made, played).catch(() => onPageThread(made, played));
    made.node.connect(context.destination);
    if (from.live) await connectInput(made);
    else connectFile(made, from.buffer, restingAt);
    await context.resume();
  }

  async function onAudioThread(made, played) {
    const text = `const { Stage, BLOCK } = (${engine})();\n(${audioThread})(Stage, BLOCK);`;
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    try {
      await made.context.audioWorklet.addModule(address);
    } finally {
      URL.revokeObjectURL(address);
    }
    made.node = new AudioWorkletNode(made.context, "amp", {
      outputChannelCount: [1],
      processorOptions: { model: played, code, settings: settings() },
    });
    made.node.port.onmessage = ({ data }) => metered(data);
    made.node.onprocessorerror = () => {
      stop();
      trouble("The audio thread stopped: the model cannot be played live here. Rendering a file works.");
    };
    made.set = () => made.node.port.postMessage({ settings: settings() });
    made.turn = () => made.node.port.postMessage({ other: contents(model()) });
    made.waits = 0;
  }

  function onPageThread(made, played) {
    const stage = new Stage(played, code);
    let levels = settings();
    made.node = made.context.createScriptProcessor(PAGE_BLOCK, 2, 1);
    made.node.onaudioprocess = ({ inputBuffer, outputBuffer }) => {
      const input = inputBuffer.getChannelData(levels.channel);
      const output = outputBuffer.getChannelData(0);
      output.set(input);
      const peaks = [];
      for (let at = 0; at < PAGE_BLOCK; at += BLOCK) peaks.push(stage.play(output.subarray(at, at + BLOCK), levels));
      metered([0, 1].map((k) => Math.max(...peaks.map((pair) => pair[k]))));
    };
    made.set = () => (levels = settings());
    made.turn = () => stage.amp.become(contents(model()));
    made.waits = (2 * PAGE_BLOCK) / played.sampleRate; // one block is filled while the one before is played
  }

  async function connectInput(made) {
    const off = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const device = $("amp-device").value;
    const wanted = { ...off, channelCount: { ideal: 2 }, ...(device && { deviceId: { exact: device } }) };
    if (!navigator.mediaDevices)
      throw new Error(
        "This browser gives a page from this address no audio input: open it from disk, or from this machine.",
      );
    try {
      made.stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    } catch (error) {
      throw new Error(
        `The browser gave no audio input (${error.message || error.name}). Allow this page the microphone; inside MLflow's page ` +
          "none can have it: open listen.html from disk.",
      );
    }
    try {
      made.from = made.context.createMediaStreamSource(made.stream);
    } catch {
      const rate = made.context.sampleRate.toLocaleString("en");
      throw new Error(`This browser gives the audio input only at its own rate: set the interface to ${rate} Hz.`);
    }
    made.from.connect(made.node);
    const inputs = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "audioinput");
    const [track] = made.stream.getAudioTracks();
    const { deviceId, channelCount } = track.getSettings();
    track.onended = () => {
      stop();
      trouble("The audio input is gone: connect it again, then play.");
    };
    $("amp-device").replaceChildren(
      ...inputs.map((each, k) => h("option", { value: each.deviceId }, each.label || `input ${k + 1}`)),
    );
    $("amp-device").value = deviceId;
    show("amp-device", inputs.length > 1);
    show("amp-channel", (channelCount || 1) > 1);
  }

  function connectFile(made, buffer, offset) {
    if (made.from) made.from.disconnect();
    made.from = new AudioBufferSourceNode(made.context, { buffer, loop: true });
    made.from.connect(made.node);
    made.from.start(0, offset);
    made.began = made.context.currentTime - offset;
  }

  function position() {
    if (!sounding || !source.buffer) return restingAt;
    return Math.max(0, sounding.context.currentTime - sounding.began) % source.buffer.duration;
  }

  function end({ context, stream, from }) {
    if (stream) for (const track of stream.getTracks()) track.stop();
    if (from) from.disconnect();
    context.close();
  }

  function stop() {
    starting++;
    if (!sounding) return;
    restingAt = position();
    end(sounding);
    sounding = null;
    metered([0, 0]);
    refresh();
  }

  function seek(seconds) {
    restingAt = seconds;
    if (sounding) connectFile(sounding, source.buffer, seconds);
    placed();
  }

  // ---- Rendering ----

  /** A turn for everything else on the page; unlike a timer, it is not held up in a tab that is not looked at. */
  function turn() {
    return new Promise((done) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        done();
      };
      port2.postMessage(0);
    });
  }

  /**
   * What the model makes of samples, in pieces of up to a second, in time with them: what it plays late is left out at the
   * beginning and added at the end, as in `ampsim render`.
   */
  async function* rendered(samples, { lookahead, sampleRate, ...rest }, levels) {
    const stage = new Stage({ lookahead, sampleRate, ...rest }, code);
    const [block, total] = [new Float32Array(BLOCK), samples.length + lookahead];
    let piece = [];
    let due = performance.now() + SLICE_MS;
    for (let at = 0; at < total; at += BLOCK) {
      block.fill(0);
      block.set(samples.subarray(at, at + BLOCK));
      if (!Number.isFinite(stage.play(block, levels)[1]))
        throw new Error("The model plays no numbers on this input: lower the input gain.");
      piece.push(block.slice(Math.max(0, lookahead - at), Math.min(BLOCK, total - at)));
      if (piece.length * BLOCK >= sampleRate || at + BLOCK >= total) {
        yield joined(piece);
        piece = [];
      }
      if (performance.now() > due) {
        await turn();
        due = performance.now() + SLICE_MS;
      }
    }
  }

  function joined(parts) {
    const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  /** The head of a WAV file of one channel in 32-bit float. */
  function waveHead(length, rate) {
    const view = new DataView(new ArrayBuffer(58));
    const words = (at, text) => [...text].forEach((letter, k) => view.setUint8(at + k, letter.charCodeAt(0)));
    const whole = (at, ...values) => values.forEach((value, k) => view.setUint32(at + 4 * k, value, true));
    words(0, "RIFF");
    whole(4, 50 + 4 * length);
    words(8, "WAVEfmt ");
    whole(16, 18);
    view.setUint16(20, 3, true); // IEEE float
    view.setUint16(22, 1, true);
    whole(24, rate, 4 * rate);
    view.setUint16(32, 4, true);
    view.setUint16(34, 32, true);
    words(38, "fact");
    whole(42, 4, length);
    words(50, "data");
    whole(54, 4 * length);
    return view.buffer;
  }

  async function render() {
    cancel();
    const own = { cancelled: false };
    rendering = own;
    refresh();
    await attempt(async () => {
      const [played, levels, { name, buffer }] = [model(), settings(), source];
      const samples = buffer.getChannelData(Math.min(levels.channel, buffer.numberOfChannels - 1));
      const parts = [waveHead(samples.length, played.sampleRate)];
      let [done, most] = [0, 0];
      for await (const piece of rendered(samples, played, levels)) {
        if (own.cancelled) return;
        parts.push(piece);
        done += piece.length;
        for (const sample of piece) most = Math.max(most, Math.abs(sample));
        $("amp-progress").value = done / samples.length;
      }
      finished(new Blob(parts, { type: "audio/wav" }), name, played, most);
    });
    if (rendering === own) rendering = null;
    refresh();
  }

  function finished(blob, name, played, most) {
    result = URL.createObjectURL(blob);
    $("amp-result").hidden = false;
    $("amp-audio").src = result;
    $("amp-download").href = result;
    const stem = name.replace(/\.\w{1,5}$/, "");
    $("amp-download").download = `${stem} - ${listedModel(played)}.wav`.replace(/[^\p{L}\p{N} .,_=+()-]/gu, "_");
    const above =
      most > 1 ? ": above full scale, which this file holds (32-bit float); turn the output gain down for others" : "";
    $("amp-peak").textContent = `Peak ${shownDb(most)}${above}.`;
  }

  /** Stop rendering, and let go of what was rendered before. */
  function cancel() {
    if (rendering) rendering.cancelled = true;
    rendering = null;
    $("amp-progress").value = 0;
    $("amp-result").hidden = true;
    $("amp-audio").removeAttribute("src");
    if (result) URL.revokeObjectURL(result);
    result = "";
    refresh();
  }

  // ---- What is shown ----

  function shownDb(level) {
    return level > 1e-5 ? `${(20 * Math.log10(level)).toFixed(1).replace("-", "−")} dB` : "−∞ dB";
  }

  function metered(peaks) {
    ["amp-in", "amp-out"].forEach((id, k) => {
      const level = 20 * Math.log10(Math.max(peaks[k], 1e-6));
      const shown = Math.max(FLOOR_DB, Math.min(0, level));
      $(id).firstElementChild.style.width = `${100 * (1 - shown / FLOOR_DB)}%`;
      $(id).classList.toggle("over", peaks[k] >= 1);
      $(id).setAttribute("aria-valuenow", shown.toFixed(0));
      $(id).nextElementSibling.textContent = shownDb(peaks[k]);
    });
    placed();
  }

  function placed() {
    $("amp-time").textContent = clock(position());
    $("amp-seek").value = position();
    $("amp-latency").textContent = sounding ? listedLatency() : "";
  }

  function listedLatency() {
    const { baseLatency = 0, outputLatency = 0 } = sounding.context;
    const parts = [
      ["of the audio output", baseLatency + outputLatency],
      ["of the model, which hears the future", model().lookahead / model().sampleRate],
      [
        "of the page's own thread, since this browser gives this address no audio thread (a local server has one)",
        sounding.waits,
      ],
    ].filter(([, seconds]) => seconds);
    const told = parts.map(([what, seconds]) => `${(1000 * seconds).toFixed(1)} ${what}`).join(", ");
    const sum = parts.reduce((all, [, seconds]) => all + 1000 * seconds, 0);
    return `Latency ${sum.toFixed(1)} ms: ${told}${source.live ? "; the input adds its own" : ""}.`;
  }

  function show(id, there) {
    $(id).closest("label").hidden = !there;
  }

  function refresh() {
    const file = Boolean(source && source.buffer);
    $("amp-play").disabled = !source;
    $("amp-play").classList.toggle("playing", Boolean(sounding));
    $("amp-play").setAttribute("aria-label", sounding ? "Stop the amp" : "Play the amp");
    $("amp-seek").disabled = !file;
    if (file) $("amp-seek").max = source.buffer.duration;
    if (file) show("amp-channel", source.buffer.numberOfChannels > 1);
    $("amp-render").disabled = !file || Boolean(rendering);
    $("amp-progress").hidden = $("amp-cancel").hidden = !rendering;
    $("amp-source").textContent = source ? listed() : "Nothing to play yet.";
    placed();
  }

  function changed() {
    for (const id of ["amp-input", "amp-output"])
      $(id).nextElementSibling.textContent = `${Number($(id).value) > 0 ? "+" : ""}${$(id).value} dB`.replace("-", "−");
    if (sounding) sounding.set();
  }

  // ---- Controls ----

  /** A model's name, with the setting of its controls. */
  function listedModel({ name, controls = [] }) {
    const setting = controls.map(
      (control, k) => `${control.name} ${listedValue(control, settingOf.get(chosenModel())[k])}`,
    );
    return setting.length ? `${name} (${setting.join(", ")})` : name;
  }

  function listedValue({ positions }, value) {
    return positions.length ? positions[value] : `${Number(value.toFixed(2))}`;
  }

  /** A slider for a knob of the amp, a list for a switch. */
  function knob(control, k) {
    const { name, low, high, positions } = control;
    const setting = settingOf.get(chosenModel());
    const shown = h("output", {}, positions.length ? "" : listedValue(control, setting[k]));
    const turning = positions.length
      ? h("select", {}, ...positions.map((each, place) => h("option", { value: place }, each)))
      : h("input", { type: "range", min: low, max: high, step: (high - low) / 200 });
    turning.value = setting[k];
    turning.oninput = () => {
      setting[k] = Number(turning.value);
      if (!positions.length) shown.textContent = listedValue(control, setting[k]);
      current = null;
      if (sounding) sounding.turn();
    };
    return h("label", { class: "level" }, name, turning, shown);
  }

  function showKnobs() {
    const { controls = [] } = chosenModel() || {};
    $("amp-knobs").hidden = !controls.length;
    $("amp-knobs").replaceChildren(...controls.map(knob));
  }

  function mount() {
    $("amp").hidden = !models.length && !missing.length;
    $("amp-player").hidden = !models.length;
    $("amp-notes").append(...missing.map((note) => h("li", {}, note)));
    $("amp-play").append(playIcon());
    $("amp-model").append(...models.map(({ name }, k) => h("option", { value: k }, name)));
    show("amp-model", models.length > 1);
    showKnobs();
    $("amp-choose").onclick = () => $("amp-file").click();
    $("amp-file").onchange = () => {
      if ($("amp-file").files.length) choose(ofFile($("amp-file").files[0]));
      $("amp-file").value = ""; // so that the same file may be chosen again
    };
    $("amp-live").onclick = () => choose({ name: "Live input", live: true }).then(start);
    $("amp-play").onclick = () => (sounding ? stop() : start());
    $("amp-seek").oninput = () => seek(Number($("amp-seek").value));
    $("amp-bypass").onclick = () => {
      const bypassed = settings().wet === 1;
      $("amp-bypass").setAttribute("aria-pressed", bypassed);
      changed();
    };
    for (const id of ["amp-input", "amp-output", "amp-channel"]) $(id).oninput = changed;
    $("amp-device").onchange = start;
    $("amp-model").onchange = () => {
      const [playing, place] = [Boolean(sounding), position()];
      showKnobs();
      if (!source) return;
      choose(source).then(() => {
        restingAt = place;
        if (playing) start();
      });
    };
    $("amp-render").onclick = render;
    $("amp-cancel").onclick = cancel;
    $("amp-audio").onplay = stop;
    const place = $("amp");
    place.ondragover = (event) => {
      event.preventDefault();
      place.classList.add("dropping");
    };
    place.ondragleave = (event) => place.contains(event.relatedTarget) || place.classList.remove("dropping");
    place.ondrop = (event) => {
      event.preventDefault();
      place.classList.remove("dropping");
      if (event.dataTransfer.files.length && models.length) choose(ofFile(event.dataTransfer.files[0]));
    };
    addEventListener("pagehide", stop);
  }

  /** Let the page's direct signal be played: samples with full scale at 1, at their rate. */
  function offer(samples, rate) {
    $("amp-direct").hidden = false;
    const decode = async (wanted) => {
      const context = new OfflineAudioContext(1, Math.ceil((samples.length * wanted) / rate), wanted);
      const buffer = context.createBuffer(1, samples.length, rate);
      buffer.copyToChannel(samples, 0);
      if (wanted === rate) return buffer;
      const from = new AudioBufferSourceNode(context, { buffer });
      from.connect(context.destination);
      from.start();
      return context.startRendering();
    };
    $("amp-direct").onclick = () => choose({ name: "Direct signal of this page", decode });
  }

  mount();
  const state = () => ({ source, sounding, rendering, result });
  return { choose, code, model, models, offer, onAudioThread, rendered, settings, state, stop };
}

const amp = ampPlayer(JSON.parse($("amps").textContent));

// The model, played in the browser. All of it is one function that needs nothing from around it: its text is also what
// the audio thread is given, where no other script of the page is.
//
// A net is turned into a list of steps over rows of floats in one memory; a row is a channel, and holds a block of samples
// behind as many earlier ones as whoever reads it reaches back to. The steps are carried out by a kernel: kernel.wasm,
// or the same in plain JavaScript where a browser has no WebAssembly with SIMD.

function engine() {
  const BLOCK = 128; // samples of a step, and of what a browser asks an AudioWorklet for
  const FLOAT = 4; // bytes
  const LONGEST_WARMING = 4096; // samples until a knob that was turned is heard
  const padded = (count) => 4 * Math.ceil(count / 4);
  const range = (count, of) => Array.from({ length: count }, (_, k) => of(k));

  // ---- Memory ----

  /** Rooms are taken first; the memory is made once all are known. Address 0 is nobody's. */
  class Memory {
    constructor() {
      this.size = 16;
      this.contents = [];
    }

    room(count) {
      const at = this.size;
      this.size += FLOAT * padded(count);
      return at;
    }

    filled(values) {
      const at = this.room(values.length);
      this.contents.push([at, values]);
      return at;
    }

    /** Rows that keep `memory` samples from before the block, which begins at `now`. Kernels write four rows at a time. */
    rows(count, memory = 0) {
      const length = padded(memory) + BLOCK;
      const at = this.room(padded(count) * length);
      return { at, count, memory: padded(memory), stride: FLOAT * length, now: at + FLOAT * padded(memory) };
    }

    open(code) {
      const kernel = compiled(code, this.size) || new PlainKernel(new ArrayBuffer(this.size));
      written(this.contents, kernel);
      return kernel;
    }
  }

  function written(contents, { buffer }) {
    for (const [at, values] of contents) new values.constructor(buffer, at, values.length).set(values);
  }

  /** The kernel in WebAssembly; null where the browser lacks its SIMD, or does not let this page have it. */
  function compiled(code, size) {
    try {
      if (!code || !WebAssembly.validate(code)) return null;
      const pages = Math.ceil(size / 65536);
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { engine: { memory } });
      return { ...exports, buffer: memory.buffer, heap: new Float32Array(memory.buffer), fast: true };
    } catch {
      return null;
    }
  }

  /** What kernel.wat does, a sample at a time. */
  class PlainKernel {
    constructor(buffer) {
      this.buffer = buffer;
      this.heap = new Float32Array(buffer);
      this.addresses = new Int32Array(buffer);
      this.fast = false;
    }

    /** out[o] = base[o] + bias[o] + the sum over r of weight[r][o] * row[r]; `packed` says how the weights lie. */
    mix(out, stride, base, baseStride, table, weights, rows, blocks, n) {
      const { heap, addresses } = this;
      const sums = new Float64Array(n);
      for (let o = 0; o < 4 * blocks; o++) {
        const own = weights / FLOAT + (o >> 2) * 4 * (rows + 1) + (o & 3);
        sums.fill(heap[own]);
        for (let r = 0; r < rows; r++) {
          const weight = heap[own + 4 * (r + 1)];
          const from = addresses[table / FLOAT + r] / FLOAT;
          if (weight) for (let t = 0; t < n; t++) sums[t] += weight * heap[from + t];
        }
        const before = (base + o * baseStride) / FLOAT;
        if (base) for (let t = 0; t < n; t++) sums[t] += heap[before + t];
        heap.set(sums, (out + o * stride) / FLOAT);
      }
    }

    /** The same of one sample, from floats that lie together. */
    step(out, from, weights, rows, blocks) {
      const { heap } = this;
      for (let o = 0; o < 4 * blocks; o++) {
        const own = weights / FLOAT + (o >> 2) * 4 * (rows + 1) + (o & 3);
        let sum = heap[own];
        for (let r = 0; r < rows; r++) sum += heap[own + 4 * (r + 1)] * heap[from / FLOAT + r];
        heap[out / FLOAT + o] = sum;
      }
    }

    add(to, toStride, from, fromStride, rows, n) {
      for (let r = 0; r < rows; r++) {
        const [a, b] = [(to + r * toStride) / FLOAT, (from + r * fromStride) / FLOAT];
        for (let t = 0; t < n; t++) this.heap[a + t] += this.heap[b + t];
      }
    }

    /** The last `kept` of kept + n samples move to the rows' beginnings. */
    keep(at, stride, rows, kept, n) {
      for (let r = 0; r < rows; r++) {
        const begin = (at + r * stride) / FLOAT;
        this.heap.copyWithin(begin, begin + n, begin + n + kept);
      }
    }

    multiply(at, by, n) {
      for (let t = 0; t < n; t++) this.heap[at / FLOAT + t] *= this.heap[by / FLOAT + t];
    }

    leak(at, n, slope) {
      each(this, at, n, (x) => (x > 0 ? x : slope * x));
    }

    squash(at, n, low, high, scale) {
      each(this, at, n, (x) => low + (high - low) / (1 + Math.exp(-scale * x)));
    }
  }

  function each(kernel, at, n, of) {
    const { heap } = kernel;
    for (let t = at / FLOAT; t < at / FLOAT + n; t++) heap[t] = of(heap[t]);
  }

  // By Keras' names and those of `.nam` files.
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const scalar = (of) => () => (kernel, at, n) => each(kernel, at, n, of);
  const ACTIVATIONS = {
    linear: () => () => {},
    tanh: () => (kernel, at, n) => kernel.squash(at, n, -1, 1, 2),
    sigmoid: () => (kernel, at, n) => kernel.squash(at, n, 0, 1, 1),
    relu: () => (kernel, at, n) => kernel.leak(at, n, 0),
    leaky_relu: (slope) => (kernel, at, n) => kernel.leak(at, n, slope),
    hard_tanh: scalar((x) => Math.min(1, Math.max(-1, x))),
    silu: scalar((x) => x * sigmoid(x)),
    hard_silu: scalar((x) => (x * Math.min(6, Math.max(0, x + 3))) / 6),
    softsign: scalar((x) => x / (1 + Math.abs(x))),
    elu: scalar((x) => (x > 0 ? x : Math.expm1(x))),
  };

  function activation(stated) {
    const name = stated.type || stated;
    if (!Object.hasOwn(ACTIVATIONS, name)) throw new Error(`its activation is ${name}, which this page cannot play`);
    return ACTIVATIONS[name](stated.negative_slope);
  }

  // ---- Nets: each function takes the model's input, and gives steps and the row of the output ----

  /** The numbers of a file, taken from the front. */
  class Weights {
    constructor(numbers) {
      this.numbers = numbers;
      this.taken = 0;
    }

    take(count) {
      this.taken += count;
      if (this.taken > this.numbers.length) throw new Error("it has fewer weights than its layers call for");
      return this.numbers.subarray(this.taken - count, this.taken);
    }
  }

  /** Weights as the kernels read them: for each four outputs four biases, then four for each row. */
  function packed(outputs, rows, weight, bias) {
    const made = new Float32Array(padded(outputs) * (rows + 1));
    for (let o = 0; o < outputs; o++) {
      const own = (o >> 2) * 4 * (rows + 1) + (o & 3);
      made[own] = bias(o);
      for (let r = 0; r < rows; r++) made[own + 4 * (r + 1)] = weight(o, r);
    }
    return made;
  }

  /** A step that mixes the rows at these addresses into the block of `out`, on top of what is in `base`. */
  function mixing(memory, out, outputs, addresses, weight, bias, base = { now: 0, stride: 0 }) {
    const table = memory.filled(Int32Array.from(addresses));
    const weights = memory.filled(packed(outputs, addresses.length, weight, bias));
    const [rows, blocks] = [addresses.length, padded(outputs) / 4];
    return (kernel) => kernel.mix(out.now, out.stride, base.now, base.stride, table, weights, rows, blocks, BLOCK);
  }

  /** Where the taps of a convolution find their samples: channel by channel of the oldest tap, then of the next. */
  function reach(rows, taps, dilation) {
    const later = (tap) => FLOAT * (taps - 1 - tap) * dilation;
    return range(taps, (tap) => range(rows.count, (row) => rows.now + row * rows.stride - later(tap))).flat();
  }

  /** The weight of an output for a place of `reach`, from (outputs, inputs, taps). */
  function tapWeights(kernel, inputs, taps) {
    return (o, r) => kernel[(o * inputs + (r % inputs)) * taps + Math.floor(r / inputs)];
  }

  function forgotten(rows) {
    return (kernel) =>
      range(rows.count, (row) => {
        const at = (rows.now + row * rows.stride) / FLOAT;
        kernel.heap.fill(0, at, at + BLOCK);
      });
  }

  function remembering(rows) {
    return rows.memory ? [(kernel) => kernel.keep(rows.at, rows.stride, rows.count, rows.memory, BLOCK)] : [];
  }

  /** What an array of a `.nam` file says of its layers and of its head, in old and in new words. */
  function stated(array) {
    for (const [key, plain] of [
      ["layer1x1", true],
      ["head1x1", false],
    ])
      if (array[key] && array[key].active !== plain) throw new Error(`its ${key} is one that this page cannot play`);
    const films = Object.keys(array).some((key) => key.endsWith("_film") && array[key] && array[key].active);
    const grouped = ["groups_input", "groups_input_mixin"].some((key) => (array[key] || 1) !== 1);
    if (films || grouped || array.condition_size !== 1 || (array.bottleneck || array.channels) !== array.channels)
      throw new Error("its layers have parts that this page cannot play");
    const all = (value, k) => (Array.isArray(value) ? value[k] : value);
    const layers = array.dilations.map((dilation, k) => {
      const gating = array.gating_mode ? all(array.gating_mode, k) : array.gated ? "gated" : "none";
      if (!["none", "gated"].includes(gating)) throw new Error(`its gating is ${gating}, which this page cannot play`);
      const size = all(array.kernel_sizes || array.kernel_size, k);
      return { dilation, size, gated: gating === "gated", activate: activation(all(array.activation, k)) };
    });
    const head = array.head || { out_channels: array.head_size, bias: array.head_bias };
    return { ...array, layers, head: { ...head, taps: head.kernel_size || 1, dilation: head.head_dilation || 1 } };
  }

  /** The WaveNet of `.nam` files; see ampsim/models/wavenet.py. */
  function waveNet(memory, { config, weights }, input) {
    const of = new Weights(weights);
    if (config.head || config.condition_dsp) throw new Error("it has parts that this page cannot play");
    const arrays = config.layers.map(stated);
    const widths = arrays.flatMap(({ channels, layers }) => layers.map(({ gated }) => (gated ? 2 : 1) * channels));
    const active = memory.rows(Math.max(...widths));
    const sums = arrays.map(({ channels, head }) => memory.rows(channels, (head.taps - 1) * head.dilation));
    const output = memory.rows(1);
    const last = arrays.length - 1;
    const steps = [forgotten(sums[0])];
    const after = [];
    let features = input;
    arrays.forEach(({ channels, layers, head }, number) => {
      const sources = layers.map(({ size, dilation }) => memory.rows(channels, (size - 1) * dilation));
      const [into, sum, aim] = [memory.rows(channels), sums[number], sums[number + 1] || output];
      steps.push(convolution(memory, of, features, sources[0], channels, { bias: false }));
      layers.forEach((layer, k) => {
        const [from, to] = [sources[k], sources[k + 1] || into];
        steps.push(...layerSteps(memory, of, layer, { channels, input, active, sum, from, to }));
        after.push(...remembering(from));
      });
      const factor = number === last ? weights[weights.length - 1] : 1;
      steps.push(convolution(memory, of, sum, aim, head.out_channels, { ...head, factor }));
      after.push(...remembering(sum));
      features = into;
    });
    of.take(1); // the factor
    if (of.taken !== weights.length) throw new Error("it has more weights than its layers call for");
    return { steps: [...steps, ...after], output };
  }

  /** A convolution with the input mixed in, activated, added to the head's sum and, mixed, to what came in. */
  function layerSteps(memory, of, { size, dilation, gated, activate }, { channels, input, active, sum, from, to }) {
    const wide = gated ? 2 * channels : channels;
    const weight = tapWeights(of.take(wide * channels * size), channels, size);
    const [bias, mixin] = [of.take(wide), of.take(wide)];
    const addresses = [...reach(from, size, dilation), input.now];
    const either = (o, r) => (r < channels * size ? weight(o, r) : mixin[o]);
    const length = channels * BLOCK;
    const share = active.now + channels * active.stride;
    const gate = (kernel) => {
      kernel.squash(share, length, 0, 1, 1);
      kernel.multiply(active.now, share, length);
    };
    return [
      mixing(memory, active, wide, addresses, either, (o) => bias[o]),
      (kernel) => activate(kernel, active.now, length),
      ...(gated ? [gate] : []),
      (kernel) => kernel.add(sum.now, sum.stride, active.now, active.stride, channels, BLOCK),
      convolution(memory, of, { ...active, count: channels }, to, channels, { base: from }),
    ];
  }

  /** A convolution with weights as `.nam` files have them: (outputs, inputs, taps), then a bias. */
  function convolution(memory, of, from, to, outputs, { taps = 1, dilation = 1, bias = true, factor = 1, base }) {
    const weight = tapWeights(of.take(outputs * from.count * taps), from.count, taps);
    const offset = bias ? of.take(outputs) : new Float32Array(outputs);
    const addresses = reach(from, taps, dilation);
    return mixing(
      memory,
      to,
      outputs,
      addresses,
      (o, r) => factor * weight(o, r),
      (o) => factor * offset[o],
      base,
    );
  }

  /** Dense, conv1d, LSTM and GRU layers one after another, in Keras' layout; see ampsim/models/forms.py. */
  function chain(memory, { config, weights }, input) {
    const of = new Weights(weights);
    const steps = [];
    const window = ({ kind, shapes }) => (kind === "conv1d" ? shapes[0][0] : 1);
    let rows = memory.rows(1, window(config.layers[0]) - 1);
    const first = rows;
    const dry = memory.rows(1, config.delay);
    steps.push((kernel) => {
      const [from, to, kept] = [input.now / FLOAT, first.now / FLOAT, dry.now / FLOAT];
      for (let t = 0; t < BLOCK; t++)
        kernel.heap[to + t] = kernel.heap[kept + t] = config.before * kernel.heap[from + t];
    });
    for (const layer of config.layers) {
      const { kind, outputs, activation: name } = layer;
      const out = memory.rows(outputs);
      if (kind === "lstm" || kind === "gru") steps.push(cells(memory, kind, of, rows, out));
      else {
        const taps = window(layer);
        const inputs = taps * rows.count;
        const kernelWeights = of.take(inputs * outputs);
        const bias = of.take(outputs);
        const activate = activation(name);
        const heard = reach(rows, taps, 1);
        steps.push(
          mixing(
            memory,
            out,
            outputs,
            heard,
            (o, r) => kernelWeights[r * outputs + o],
            (o) => bias[o],
          ),
          (kernel) => activate(kernel, out.now, outputs * BLOCK),
        );
      }
      rows = out;
    }
    const output = rows;
    steps.push(...remembering(first), (kernel) => {
      const [at, kept] = [output.now / FLOAT, dry.now / FLOAT - config.delay];
      for (let t = 0; t < BLOCK; t++)
        kernel.heap[at + t] = config.after * (kernel.heap[at + t] + (config.skip ? kernel.heap[kept + t] : 0));
    });
    return { steps: [...steps, ...remembering(dry)], output };
  }

  /** A layer of recurrent cells, sample after sample. */
  function cells(memory, kind, of, from, out) {
    const [inputs, units, wide] = [from.count, out.count, padded(out.count)];
    const gates = kind === "lstm" ? 4 : 3;
    const kernelWeights = of.take(inputs * gates * units);
    const recurrent = of.take(units * gates * units);
    const bias = of.take((kind === "lstm" ? 1 : 2) * gates * units);
    const rows = inputs + units;
    // Where each of four groups of outputs finds its gate, and which of input and state it hears.
    const groups = kind === "lstm" ? [0, 1, 3, 2] : [0, 1, 2, 2];
    const hears = (group, r) => kind === "lstm" || group < 2 || (group === 2 ? r < inputs : r >= inputs);
    const place = (o) => [Math.floor(o / wide), groups[Math.floor(o / wide)] * units + (o % wide), o % wide < units];
    const weight = (o, r) => {
      const [group, column, real] = place(o);
      if (!real || !hears(group, r)) return 0;
      return r < inputs ? kernelWeights[r * gates * units + column] : recurrent[(r - inputs) * gates * units + column];
    };
    const offset = (o) => {
      const [group, column, real] = place(o);
      if (!real) return 0;
      if (kind === "lstm") return bias[column];
      const [ofInput, ofState] = [bias[column], bias[gates * units + column]];
      return group < 2 ? ofInput + ofState : group === 2 ? ofInput : ofState;
    };
    const numbers = memory.filled(packed(4 * wide, rows, weight, offset));
    const [heard, found, inner] = [memory.room(rows), memory.room(4 * wide), memory.room(wide)];
    const cell = new Float64Array(units);
    const update = kind === "lstm" ? lstm : gru;
    return (kernel) => {
      const { heap } = kernel;
      const [x, state] = [heard / FLOAT, heard / FLOAT + inputs];
      for (let t = 0; t < BLOCK; t++) {
        for (let k = 0; k < inputs; k++) heap[x + k] = heap[(from.now + k * from.stride) / FLOAT + t];
        kernel.step(found, heard, numbers, rows, wide);
        update(kernel, found, inner, wide, cell, state);
        for (let u = 0; u < units; u++) heap[(out.now + u * out.stride) / FLOAT + t] = heap[state + u];
      }
    };
  }

  function lstm(kernel, found, inner, wide, cell, state) {
    const { heap } = kernel;
    const [enter, stay, leave, candidate] = range(4, (k) => found / FLOAT + k * wide);
    kernel.squash(found, 3 * wide, 0, 1, 1);
    kernel.squash(found + FLOAT * 3 * wide, wide, -1, 1, 2);
    for (let u = 0; u < cell.length; u++) {
      cell[u] = heap[stay + u] * cell[u] + heap[enter + u] * heap[candidate + u];
      heap[inner / FLOAT + u] = cell[u];
    }
    kernel.squash(inner, wide, -1, 1, 2);
    for (let u = 0; u < cell.length; u++) heap[state + u] = heap[leave + u] * heap[inner / FLOAT + u];
  }

  function gru(kernel, found, inner, wide, cell, state) {
    const { heap } = kernel;
    const [stay, reset, ofInput, ofState] = range(4, (k) => found / FLOAT + k * wide);
    kernel.squash(found, 2 * wide, 0, 1, 1);
    for (let u = 0; u < cell.length; u++)
      heap[inner / FLOAT + u] = heap[ofInput + u] + heap[reset + u] * heap[ofState + u];
    kernel.squash(inner, wide, -1, 1, 2);
    for (let u = 0; u < cell.length; u++) {
      cell[u] = heap[stay + u] * cell[u] + (1 - heap[stay + u]) * heap[inner / FLOAT + u];
      heap[state + u] = cell[u];
    }
  }

  // ---- A filter ----

  /** A long filter at the cost of a short one, without latency: its spectra by parts of a block, in double precision. */
  class Filter {
    constructor(response) {
      this.transform = fourier(2 * BLOCK);
      this.respond(response);
      this.heard = this.parts.map(() => [new Float64Array(BLOCK + 1), new Float64Array(BLOCK + 1)]);
      this.newest = 0;
      this.before = new Float32Array(BLOCK);
      [this.re, this.im] = [new Float64Array(2 * BLOCK), new Float64Array(2 * BLOCK)];
    }

    /** Another filter of the same length, that has heard what `other` has. */
    become(response, other) {
      this.respond(response);
      this.newest = other.newest;
      this.before.set(other.before);
      this.heard.forEach((pair, k) => pair.forEach((half, n) => half.set(other.heard[k][n])));
    }

    respond(response) {
      this.parts = range(Math.ceil(response.length / BLOCK), (part) => {
        const [re, im] = [new Float64Array(2 * BLOCK), new Float64Array(2 * BLOCK)];
        re.set(response.subarray(part * BLOCK, (part + 1) * BLOCK));
        this.transform(re, im);
        return [re.slice(0, BLOCK + 1), im.slice(0, BLOCK + 1)];
      });
    }

    /** A block in place. */
    play(block) {
      const { re, im, parts, heard } = this;
      re.set(this.before);
      re.set(block, BLOCK);
      im.fill(0);
      this.before.set(block);
      this.transform(re, im);
      this.newest = (this.newest + parts.length - 1) % parts.length;
      heard[this.newest][0].set(re.subarray(0, BLOCK + 1));
      heard[this.newest][1].set(im.subarray(0, BLOCK + 1));
      re.fill(0);
      im.fill(0);
      parts.forEach(([a, b], part) => {
        const [x, y] = heard[(this.newest + part) % parts.length];
        for (let bin = 0; bin <= BLOCK; bin++) {
          re[bin] += a[bin] * x[bin] - b[bin] * y[bin];
          im[bin] += a[bin] * y[bin] + b[bin] * x[bin];
        }
      });
      // Backwards: the transform of the conjugate, whose other half mirrors this one.
      for (let bin = 0; bin <= BLOCK; bin++) im[bin] = -im[bin];
      for (let bin = 1; bin < BLOCK; bin++) {
        re[2 * BLOCK - bin] = re[bin];
        im[2 * BLOCK - bin] = -im[bin];
      }
      this.transform(re, im);
      for (let t = 0; t < BLOCK; t++) block[t] = re[BLOCK + t] / (2 * BLOCK);
    }
  }

  /** An FFT in place, of a power of two. */
  function fourier(size) {
    const bits = Math.log2(size);
    const [cos, sin] = [Math.cos, Math.sin].map((of) =>
      Float64Array.from({ length: size / 2 }, (_, k) => of((-2 * Math.PI * k) / size)),
    );
    const mirrored = Uint32Array.from({ length: size }, (_, k) => {
      let turned = 0;
      for (let bit = 0; bit < bits; bit++) turned |= ((k >> bit) & 1) << (bits - 1 - bit);
      return turned;
    });
    return (re, im) => {
      for (let k = 0; k < size; k++) {
        const m = mirrored[k];
        if (m <= k) continue;
        const [x, y] = [re[k], im[k]];
        re[k] = re[m];
        im[k] = im[m];
        re[m] = x;
        im[m] = y;
      }
      for (let half = 1; half < size; half *= 2) {
        const stride = size / (2 * half);
        for (let block = 0; block < size; block += 2 * half) {
          for (let k = 0; k < half; k++) {
            const c = cos[k * stride];
            const s = sin[k * stride];
            const p = block + k;
            const q = p + half;
            const x = re[q] * c - im[q] * s;
            const y = re[q] * s + im[q] * c;
            re[q] = re[p] - x;
            im[q] = im[p] - y;
            re[p] += x;
            im[p] += y;
          }
        }
      }
    };
  }

  // ---- A model ----

  const NETS = { WaveNet: waveNet, chain };

  /** Where everything of a net lies, and how it is played; of two settings of a model only the contents differ. */
  function laid({ net }) {
    const memory = new Memory();
    const input = memory.rows(1);
    if (!net) return { memory, input, steps: [], output: input };
    if (!Object.hasOwn(NETS, net.architecture))
      throw new Error(`it is a ${net.architecture}, which this page cannot play`);
    return { memory, input, ...NETS[net.architecture](memory, net, input) };
  }

  /** What another model of the same shape has to hand to `Amp.become`. */
  function contents(model) {
    return { contents: laid(model).memory.contents, response: model.response, volume: model.volume };
  }

  /**
   * A model at a setting, one value a control: a number, or the index of a switch's position. See ampsim/models/packing.py:
   * weights are those in the middle, and what the controls' function gives beyond its value there of each direction; and
   * there is a volume.
   */
  function turned(model, setting) {
    if (!model.controls) return model;
    const [before, now] = [model.controls.map(({ value }) => value), setting].map((values) => told(model, values));
    const at = (middle, name) => {
      const moved = Float64Array.from(middle);
      model.directions.forEach((direction, k) => {
        const by = now.mix[k] - before.mix[k];
        for (let n = 0; n < moved.length; n++) moved[n] += by * direction[name][n];
      });
      return Float32Array.from(moved);
    };
    const { net, response } = model;
    return {
      ...model,
      volume: now.volume,
      net: net && { ...net, weights: at(net.weights, "weights") },
      response: response && at(response, "response"),
    };
  }

  /** What the controls' function makes of a setting: how much of each direction, and the volume. */
  function told({ controls, directions, function: weights, bend }, setting) {
    const seen = controls.flatMap(({ low, high, positions }, k) =>
      positions.length
        ? positions.map((_, place) => Number(place === setting[k]))
        : [(2 * (setting[k] - low)) / (high - low) - 1],
    );
    const bent = bend ? seen.map((value) => (2 * Math.log((value + 1) / 2 / bend + 1)) / Math.log(1 / bend + 1) - 1) : [];
    const products = bent.flatMap((one, k) => bent.slice(0, k + 1).map((other) => one * other));
    const heard = [...seen, ...bent];
    const features = bend ? [1, ...heard, ...products] : [...seen, ...seen.map((value) => value * value)];
    const parts = directions.length;
    const units = (weights.length - parts - features.length) / (heard.length + parts + 2);
    const of = new Weights(weights);
    const dot = (one, other) => one.reduce((sum, value, k) => sum + value * other[k], 0);
    const layer = (inputs, outputs) => {
      const [kernel, bias] = [of.take(inputs.length * outputs), of.take(outputs)];
      return range(outputs, (o) => inputs.reduce((sum, x, k) => sum + x * kernel[k * outputs + o], bias[o]));
    };
    const hidden = layer(heard, units).map(Math.tanh);
    const mix = layer(hidden, parts).map((value) => value / Math.sqrt(parts));
    const [trim, level] = [of.take(units), of.take(features.length)];
    return { mix, volume: Math.exp(dot(hidden, trim) + dot(features, level)) };
  }

  /** A model, as after silence. Its output lags by its `lookahead`. */
  class Amp {
    /** model: its net and its filter, of which one may be null, with weights as Float32Arrays; code: kernel.wasm. */
    constructor({ net, response, silence, volume = 1, controls }, code) {
      this.laid = laid({ net });
      const opened = () => ({ kernel: this.laid.memory.open(code), filter: response && new Filter(response), volume });
      this.voice = opened();
      this.spare = controls ? opened() : null; // takes over where the knobs are turned
      this.warming = Math.ceil(Math.min(silence, LONGEST_WARMING) / BLOCK);
      Object.assign(this, { next: null, coming: null });
      const block = new Float32Array(BLOCK);
      for (let played = 0; played < silence; played += BLOCK) this.play(block.fill(0));
    }

    /**
     * Another model of the same shape (`contents`), which goes on from what this one has heard. What it has heard was heard
     * with other weights: it plays along until its memory is its own, then the two are crossfaded.
     */
    become(next) {
      this.next = next;
    }

    /** A block of input, (BLOCK,), becomes the model's output in place. */
    play(block) {
      if (this.next && !this.coming) this.begin(this.next);
      if (!this.coming) return this.through(this.voice, block);
      const newer = block.slice();
      this.through(this.coming, newer);
      this.through(this.voice, block);
      if (this.left-- > 0) return;
      for (let t = 0; t < BLOCK; t++) block[t] += ((t + 1) / BLOCK) * (newer[t] - block[t]);
      [this.voice, this.spare, this.coming] = [this.coming, this.voice, null];
    }

    begin({ contents, response, volume = 1 }) {
      const { voice, spare } = this;
      spare.kernel.heap.set(voice.kernel.heap);
      written(contents, spare.kernel);
      spare.filter?.become(response, voice.filter);
      spare.volume = volume;
      Object.assign(this, { next: null, coming: spare, left: this.warming });
    }

    through({ kernel, filter, volume }, block) {
      kernel.heap.set(block, this.laid.input.now / FLOAT);
      for (const step of this.laid.steps) step(kernel);
      const at = this.laid.output.now / FLOAT;
      block.set(kernel.heap.subarray(at, at + BLOCK));
      filter?.play(block);
      for (let t = 0; t < BLOCK; t++) block[t] *= volume;
    }
  }

  /** A model between two gains, with a bypass: what is heard live, and what is rendered. */
  class Stage {
    constructor(model, code) {
      this.amp = new Amp(model, code);
      this.dry = new Float32Array(BLOCK);
      this.levels = null;
    }

    /**
     * A block in place; returns the peaks before and after. levels: the gains `input` and `output`, and `wet`, which is 0
     * for the input as it came and 1 for the model. What has changed since the last block changes in a straight line. A
     * block that is not all numbers becomes silence.
     */
    play(block, levels) {
      const from = this.levels || levels;
      const at = (name, t) => from[name] + ((levels[name] - from[name]) * (t + 1)) / BLOCK;
      this.dry.set(block);
      for (let t = 0; t < BLOCK; t++) block[t] *= at("input", t);
      const entering = peak(block);
      this.amp.play(block);
      for (let t = 0; t < BLOCK; t++) {
        const wet = at("wet", t);
        block[t] = wet * at("output", t) * block[t] + (1 - wet) * this.dry[t];
      }
      this.levels = { ...levels };
      const leaving = peak(block);
      if (!Number.isFinite(leaving)) block.fill(0); // for the sake of ears
      return [entering, leaving];
    }
  }

  function peak(block) {
    return block.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  }

  return { Amp, Stage, BLOCK, contents, fourier, turned };
}

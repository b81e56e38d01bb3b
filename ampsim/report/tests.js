// The blind tests. Both have a player of their own over the sounds that they compare, at equal loudness, and leave what
// was answered in `ballot`.

const ballot = { abx: [], mushra: [] };
const PIECE_S = 5; // of a MUSHRA excerpt; BS.1534 asks for ten seconds at most
const MOST_PIECES = 4;
const SCALE = ["bad", "poor", "fair", "good", "excellent"];

function random(count) {
  return crypto.getRandomValues(new Uint32Array(1))[0] % count;
}

function shuffled(list) {
  const left = [...list];
  return list.map(() => left.splice(random(left.length), 1)[0]);
}

function newTest(fields) {
  const id = Array.from({ length: 12 }, () => random(16).toString(16)).join("");
  return { id, started: new Date().toISOString(), finished: null, ...fields, trials: [] };
}

/** The probability of at least this many right answers by guessing: one side of the binomial distribution. */
function chance(right, trials) {
  let [ways, sum] = [1, 0]; // trials over 0, 1, 2, ... wrong answers
  for (let wrong = 0; wrong <= trials - right; wrong++) {
    sum += ways;
    ways *= (trials - wrong) / (wrong + 1);
  }
  return sum / 2 ** trials;
}

function needed(trials) {
  return Array.from({ length: trials + 1 }, (_, right) => right).find((right) => chance(right, trials) < 0.05);
}

function inWords(p) {
  return p < 0.001 ? "p < 0.001" : `p = ${p.toPrecision(2)}`;
}

/** The window that a test takes place in. `keys` maps a key to what it does; closing it ends the test's sound. */
function testWindow(title, test, player, keys, onClose) {
  const dialog = document.getElementById("test");
  const body = h("div", { class: "test-body" });
  const play = h("button", { type: "button", class: "play", "aria-label": "Play or pause" }, playIcon());
  const close = h("button", { type: "button", class: "quiet" }, "Stop the test");
  dialog.replaceChildren(h("header", {}, h("h2", { id: "test-title" }, title), close), body, h("footer", {}, play));
  const shown = () => play.classList.toggle("playing", player.playing);
  const toggle = () => {
    player.playing ? player.stop() : player.again();
    shown();
  };
  const stop = () => {
    player.stop();
    document.removeEventListener("keydown", pressed);
    onClose();
  };
  close.onclick = () => dialog.close();
  play.onclick = (event) => {
    toggle();
    if (event.detail) play.blur();
  };
  dialog.onclose = stop;
  dialog.oncancel = (event) => {
    if (test.trials.length && !test.finished) event.preventDefault(); // Escape alone throws no answers away
  };
  // On the document: a button that is disabled once it was pressed loses the focus to what lies outside the window.
  const pressed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && !event.target.closest("button, input[type=text]")) {
      event.preventDefault();
      toggle();
    }
    const action = keys[event.key.toLowerCase()];
    if (action && !event.target.closest("input[type=text]")) {
      event.preventDefault();
      action();
    }
  };
  document.addEventListener("keydown", pressed);
  if (!dialog.open) dialog.showModal();
  dialog.focus();
  player.again();
  shown();
  return { body, footer: dialog.querySelector("footer"), close, dialog, shown };
}

/** A player over some of the sounds that goes round in a region; `gains` are those of equal loudness. */
function testPlayer(context, buffers, gains, region) {
  const player = new Player(context, buffers, gains);
  // A filtered sound may peak higher than the one it was made from.
  const loudest = Math.max(...buffers.map((buffer, index) => peakOf(buffer) * gains[index]));
  player.master.gain.value = Math.min(1, 0.99 / loudest);
  player.again = () => {
    context.resume();
    player.start(player.restingAt, region);
  };
  return player;
}

// ---- ABX ----

/** sounds: [{name, buffer, gain}] of A and B. */
function startAbx(context, sounds, region, planned, onVotes) {
  const test = newTest({ a: sounds[0].name, b: sounds[1].name, region: region.map(placed), planned });
  const player = testPlayer(
    context,
    sounds.map(({ buffer }) => buffer),
    sounds.map(({ gain }) => gain),
    region,
  );
  const letters = ["A", "B", "X"];
  let [truth, heard, began, letter] = [0, {}, 0, "A"];
  const hear = (which) => {
    letter = which;
    player.choose(which === "X" ? truth : letters.indexOf(which));
    if (!player.playing) player.again();
    heard[which]++;
    refresh();
  };
  const answer = (which) => {
    if (!heard.X || test.finished) return;
    const x = letters[truth];
    test.trials.push({
      x,
      answer: which,
      correct: which === x,
      seconds: rounded((performance.now() - began) / 1000),
      heard,
    });
    if (test.trials.length === 1) ballot.abx.push(test);
    if (test.trials.length === planned) test.finished = new Date().toISOString();
    onVotes();
    next();
  };
  const keys = {
    a: () => hear("A"),
    b: () => hear("B"),
    x: () => hear("X"),
    1: () => answer("A"),
    2: () => answer("B"),
  };
  const { body, close, dialog, shown } = testWindow("Which one is X?", test, player, keys, onVotes);
  const said = h("p", { class: "verdict", role: "status" });
  const dots = h("p", { class: "dots", "aria-hidden": "true" });
  const count = h("p", { class: "muted" });
  const buttons = letters.map((which) =>
    h(
      "button",
      { type: "button", class: "sound", onclick: () => hear(which) },
      which,
      h("kbd", {}, which.toLowerCase()),
    ),
  );
  const answers = ["A", "B"].map((which, index) =>
    h(
      "button",
      { type: "button", class: "answer", onclick: () => answer(which) },
      `X is ${which}`,
      h("kbd", {}, `${index + 1}`),
    ),
  );
  const hint = h("p", { class: "muted" });
  body.append(
    h(
      "p",
      {},
      "A is ",
      h("b", {}, test.a),
      ", B is ",
      h("b", {}, test.b),
      ". X is one of the two, drawn anew each time.",
    ),
    count,
    h("div", { class: "sounds" }, ...buttons),
    h("div", { class: "answers" }, ...answers),
    hint,
    dots,
    said,
  );
  function refresh() {
    shown();
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", letters[index] === letter));
    answers.forEach((button) => (button.disabled = !heard.X || Boolean(test.finished)));
    hint.textContent = heard.X ? "" : "Listen to X before you answer. Replay and switch as often as you like.";
  }
  function next() {
    const { trials } = test;
    const right = trials.filter(({ correct }) => correct).length;
    dots.replaceChildren(
      ...Array.from({ length: planned }, (_, k) =>
        h("i", { class: k < trials.length ? (trials[k].correct ? "right" : "wrong") : "" }),
      ),
    );
    if (trials.length) {
      const last = trials.at(-1);
      said.textContent =
        `${last.correct ? "Right" : "Wrong"}: X was ${last.x}. ${right} of ${trials.length} right, ` +
        `${inWords(chance(right, trials.length))}.`;
    }
    if (test.finished) {
      const p = chance(right, planned);
      said.textContent += ` Guessing does as well in ${(100 * p).toPrecision(2)} % of tests. `;
      said.textContent += p < 0.05 ? "You hear a difference." : "That is no evidence of an audible difference.";
      count.textContent = `All ${planned} trials answered.`;
      close.textContent = "Close";
      close.focus();
      refresh();
      return;
    }
    count.textContent =
      `Trial ${trials.length + 1} of ${planned}, a number fixed before. ` +
      `${needed(planned)} right answers in all are beyond chance (p < 0.05).`;
    if (document.activeElement?.disabled || document.activeElement === document.body) dialog.focus();
    truth = random(2);
    heard = { A: 0, B: 0, X: 0 };
    began = performance.now();
    hear("A");
  }
  next();
  return test;
}

// ---- MUSHRA ----

/** sounds: [{kind: "reference" | "anchor" | "mid_anchor" | "model", name, buffer, gain}], the reference first. */
function startMushra(context, sounds, duration, onVotes) {
  const number = Math.max(1, Math.min(MOST_PIECES, Math.floor(duration / PIECE_S)));
  const pieces = shuffled(
    Array.from({ length: number }, (_, k) => [(duration * k) / number, (duration * (k + 1)) / number]),
  );
  const test = newTest({ planned: number });
  let [page, order, rows, began] = [0, [], [], 0];
  const buffers = sounds.map(({ buffer }) => buffer);
  const player = testPlayer(
    context,
    buffers,
    sounds.map(({ gain }) => gain),
    pieces[0],
  );
  player.again = () => {
    context.resume();
    player.start(player.restingAt, pieces[Math.min(page, number - 1)]);
  };
  const keys = { 0: () => hear(-1) };
  for (let k = 0; k < Math.min(9, sounds.length); k++) keys[k + 1] = () => hear(k, true);
  const { body, footer, close, shown } = testWindow("How close is each to the amp?", test, player, keys, onVotes);
  const count = h("p", { class: "muted" });
  const table = h("div", { class: "ratings" });
  const hint = h("p", { class: "muted", role: "status" });
  const onwards = h("button", { type: "button", class: "answer", onclick: next }, "Next");
  const reference = h("button", { type: "button", class: "sound", onclick: () => hear(-1) }, "Amp", h("kbd", {}, "0"));
  body.append(
    h(
      "p",
      {},
      "Rate how close each sound comes to the amp: 100 cannot be told from it. The amp itself is hidden among them, and ",
      "two anchors: the amp without what lies above ",
      `${anchorsHz(buffers[0].sampleRate)
        .map((hz) => hz / 1000)
        .join(" and ")} kHz.`,
    ),
    count,
    h("div", { class: "reference" }, reference, h("span", { class: "muted" }, "the one to compare with")),
    table,
    hint,
  );
  footer.append(onwards);

  function hear(place, focus = false) {
    player.choose(place < 0 ? 0 : order[place]);
    if (!player.playing) player.again();
    if (place >= 0) rows[place].heard++;
    if (focus) rows[place].slider.focus();
    reference.setAttribute("aria-pressed", place < 0);
    rows.forEach(({ button }, index) => button.setAttribute("aria-pressed", index === place));
    refresh();
  }
  function refresh() {
    shown();
    const left = rows.filter(({ heard, rating }) => !heard || rating === null).length;
    onwards.disabled = left > 0;
    hint.textContent = left ? `${left} of ${rows.length} still to hear and rate` : "";
  }
  function show() {
    count.textContent = `Excerpt ${page + 1} of ${number}, the sounds in random order.`;
    onwards.textContent = page + 1 < number ? "Next excerpt" : "Done";
    order = shuffled(sounds.map((_, index) => index));
    rows = order.map((_, place) => {
      const row = { heard: 0, rating: null };
      const value = h("output", {}, "–");
      row.button = h("button", { type: "button", class: "sound", onclick: () => hear(place) }, `Sound ${place + 1}`);
      if (place < 9) row.button.append(h("kbd", {}, `${place + 1}`));
      row.slider = h("input", {
        type: "range",
        min: 0,
        max: 100,
        value: 50,
        class: "untouched",
        "aria-label": `Rating of sound ${place + 1}`,
        oninput: () => {
          row.rating = Number(row.slider.value);
          value.textContent = row.rating;
          row.slider.classList.remove("untouched");
          row.slider.setAttribute(
            "aria-valuetext",
            `${row.rating}, ${SCALE[Math.min(4, Math.floor(row.rating / 20))]}`,
          );
          refresh();
        },
      });
      row.line = h("div", { class: "rating" }, row.button, row.slider, value);
      return row;
    });
    const scale = h(
      "div",
      { class: "rating scale", "aria-hidden": "true" },
      h("span"),
      h("div", {}, ...SCALE.map((word) => h("span", {}, word))),
      h("span"),
    );
    table.replaceChildren(scale, ...rows.map(({ line }) => line));
    began = performance.now();
    player.restingAt = pieces[page][0];
    player.again();
    hear(-1);
    document.getElementById("test").focus();
  }
  function next() {
    test.trials.push({
      region: pieces[page].map(placed),
      seconds: rounded((performance.now() - began) / 1000),
      ratings: order.map((index, place) => {
        const { kind, name } = sounds[index];
        return { kind, name, score: rows[place].rating, heard: rows[place].heard };
      }),
    });
    if (test.trials.length === 1) ballot.mushra.push(test);
    page++;
    if (page === number) test.finished = new Date().toISOString();
    onVotes();
    if (page < number) show();
    else finish();
  }
  function finish() {
    player.stop();
    const mean = ({ kind, name }) => {
      const rated = test.trials.map(
        ({ ratings }) => ratings.find((each) => each.kind === kind && each.name === name).score,
      );
      return rated.reduce((sum, score) => sum + score, 0) / rated.length;
    };
    const found = sounds.map((sound) => ({ name: sound.name, mean: mean(sound) })).sort((a, b) => b.mean - a.mean);
    const missed = test.trials.filter(({ ratings }) =>
      ratings.some(({ kind, score }) => kind === "reference" && score < 90),
    );
    count.textContent = "What you heard, and your mean ratings:";
    body.replaceChildren(
      count,
      h(
        "div",
        { class: "ratings" },
        ...found.map(({ name, mean }) =>
          h(
            "div",
            { class: "rating" },
            h("b", {}, name),
            h("progress", { max: 100, value: mean }),
            h("output", {}, mean.toFixed(0)),
          ),
        ),
      ),
    );
    if (missed.length)
      body.append(
        h(
          "p",
          {},
          `The hidden amp got less than 90 in ${missed.length} of ${number} excerpts; ITU-R BS.1534 leaves out ` +
            "listeners with more than 15 % of such excerpts.",
        ),
      );
    footer.remove();
    close.textContent = "Close";
    close.focus();
  }
  show();
  return test;
}

// ---- The votes ----

/** All that was answered on this page, as it is saved. */
function votes(data, listener) {
  const runs = Object.fromEntries(data.signals.filter(({ run }) => run).map(({ name, run }) => [name, run]));
  return {
    format: "ampsim-votes",
    version: 2,
    page: { id: data.id, title: data.title, excerpt: [data.start, data.start + data.duration].map(rounded) },
    runs,
    listener: listener.trim(),
    saved: new Date().toISOString(),
    ...ballot,
  };
}

function rounded(number) {
  return Math.round(number * 1000) / 1000;
}

/** A time of the excerpt as one of the recording. */
function placed(time) {
  return rounded(time + data.start);
}

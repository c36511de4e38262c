const canvas = element("canvas");
const context = canvas.getContext("2d");
// Side of the network's picture, and the longest side of the canvas, in pixels.
const SIDE = 224;
const LONGEST = 672;
// Milliseconds that a control must rest before the map is computed again.
const REST = 250;

// This script continues with that of the engines: wasm.js for those in the page, remote.js for the program
// that serves the page. It defines
// - `newEngine()`, which resolves to { engine, name, isa, labels, sha256 }: an engine, its network and the
//   checksum of the network's file. `engine.call(name, argument, numbers, refined)` calls a function of
//   calls.rs with bytes, or null, and numbers, and resolves to { numbers, bytes }; `refined` receives maps
//   so far. `engine.stop()` ends it;
// - `backs()`, how many engines compute a map;
// - `showEngine()`, which shows the arithmetic, and `workers(engines)`, that number in words;
// - `sample()`, which resolves to the file of the sample, and `start()`, which begins.

// A request that another one has made superfluous.
class Cancelled extends Error {}

const state = {
  weights: null,      // the file of the network, { name, more }, "builtin" for the built-in one; more options of the command
  sha256: "",         // its checksum
  front: null,        // the engine that answers and paints
  back: [],           // the engines that compute maps
  labels: [],
  categories: [],     // their colours
  isa: "",
  source: null,       // { name, data, size } of the photograph that the engine in front has
  photograph: null,   // { name, data, pixelSize, sha256, bitmap, width, height, top } as it is shown; null while it is opened
  maps: null,         // the map so far; see `parsed`
  layer: null,        // its picture
  mask: null,         // [y, x] of the mask's middle, in pixels of the canvas
  covered: null,      // the answer with this mask
  wanted: null,       // the class whose map is shown when it comes
  sweep: 0,           // the number of the last sweep
};

const label = (index) => state.labels[index] ?? `class ${index}`;
const shortName = (index) => label(index).split(", ")[0];

// ---- Settings

const number = (id) => Number(element(id).value);
const settings = () => {
  const [kind, detail] = element("fill").value.split(",").map(Number);
  return {
    maskSize: number("mask-size"),
    stride: number("stride"),
    kind,
    detail,
    logit: number("score"),
    class: ownClass(),
    resize: number("resize"),
  };
};

// The class that the user has typed, by its index or one of its names; -1 if there is none.
function ownClass() {
  const text = element("class").value.trim().toLowerCase();
  if (text === "") return -1;
  if (/^\d+$/.test(text)) return Number(text) < state.labels.length ? Number(text) : -1;
  const named = state.labels.findIndex((names) => names.toLowerCase() === text);
  return named >= 0 ? named : state.labels.findIndex((names) => names.toLowerCase().split(", ").includes(text));
}

// The rows, and the columns, of positions at a stride.
const positions = (stride) => Math.ceil(SIDE / stride);

// ---- Numbers

// The shortest text of a number of 32 bits, with a typographic minus sign.
function shortest(number) {
  for (let digits = 1; digits < 9; digits++) {
    const text = number.toPrecision(digits);
    if (Math.fround(Number(text)) === Math.fround(number)) return String(Number(text)).replaceAll("-", "−");
  }
  return String(number).replaceAll("-", "−");
}

// Maps from the numbers of `explain` in engine.rs.
function parsed(numbers) {
  const [rows, columns, count] = numbers;
  const size = rows * columns;
  const take = (at, length) => Array.from(numbers.subarray(at, at + length));
  const classes = Array.from({ length: count }, (_, k) => ({ index: numbers[3 + 2 * k], base: numbers[4 + 2 * k] }));
  let at = 3 + 2 * count;
  const scores = classes.map(() => take((at += size) - size, size));
  const argmax = take(at, size);
  const argmaxScores = take(at + size, size);
  return { rows, columns, classes, scores, argmax, argmaxScores, rest: take(at + 2 * size, numbers.length) };
}

// The drops of class k, in 32 bits as everywhere.
const drops = (maps, k) => maps.scores[k].map((score) => Math.fround(maps.classes[k].base - score));

// ---- A photograph

// Photographs are opened one after the other, and engines are replaced in between, so that the page
// shows what the engine in front has.
let queue = Promise.resolve();
const queued = (task) => (queue = queue.then(task).catch(failed));

async function open(name, data, { width = 0, height = 0 } = {}) {
  say("");
  const start = performance.now();
  const { resize } = settings();
  let answer;
  try {
    answer = await state.front.call("photograph", data, [width, height, resize]);
  } catch (error) {
    // What was there before stays.
    const other = width === 0 && !(error instanceof Cancelled) ? await decoded(data) : null;
    if (other !== null) return open(name, other.data, other);
    error.message = error.message.replace(/^the photograph/, name);
    throw error;
  }
  stopSweep();
  state.source = { name, data, size: { width, height } };
  [state.photograph, state.maps, state.layer, state.mask, state.covered] = [null, null, null, null, null];
  const [wide, high, ...top] = answer.numbers;
  const sha256 = new TextDecoder().decode(answer.bytes);
  const pixels = new Uint8ClampedArray((await state.front.call("pixels", null, [])).bytes);
  const scale = Math.min(1, (2 * LONGEST) / Math.max(wide, high));
  const bitmap = await createImageBitmap(new ImageData(pixels, wide, high), {
    resizeWidth: Math.max(Math.round(wide * scale), 1), resizeHeight: Math.max(Math.round(high * scale), 1), resizeQuality: "high",
  });
  const classes = Array.from({ length: top.length / 2 }, (_, k) => ({ index: top[2 * k], base: top[2 * k + 1] }));
  state.photograph = { name, data, pixelSize: { width, height }, sha256, bitmap, width: wide, height: high, top: classes };
  [canvas.width, canvas.height] = [wide, high].map((side) => Math.max(Math.round((side * LONGEST) / Math.max(wide, high)), 1));
  showSettings();
  showScores();
  draw();
  element("first-answer").textContent = `${Math.round(performance.now() - start)} ms after the photograph was opened`;
  document.documentElement.dataset.answered = shortName(classes[0].index);
  sweep().catch(failed);
}

// The pixels of a file that the engine does not read but the browser does; null if neither does.
async function decoded(data) {
  try {
    const bitmap = await createImageBitmap(new Blob([data]), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    return { data: context.getImageData(0, 0, width, height).data.buffer, width, height };
  } catch {
    return null;
  }
}

// ---- The sweep

function stopSweep() {
  state.sweep++;
  // An engine cannot be interrupted. One that is at work is replaced by a new one.
  state.back = state.back.map((back) => {
    if (!back.busy) return back;
    back.ready.then(({ engine }) => engine.stop(), () => {});
    return newBack();
  });
}

function newBack() {
  const back = { busy: false, opened: null, ready: newEngine() };
  back.ready.catch(() => {});
  return back;
}

// Computes the maps: each engine takes some rows of positions, coarse to fine.
async function sweep() {
  stopSweep();
  const id = state.sweep;
  const { photograph } = state;
  // One that is being opened has its sweep after that.
  if (photograph === null) return;
  const options = settings();
  const rows = positions(options.stride);
  const share = Math.min(backs(), rows);
  while (state.back.length < share) state.back.push(newBack());
  const start = performance.now();
  const bands = [];
  const done = Array(share).fill(0);
  const total = rows * rows;
  const show = (k, numbers, count) => {
    if (id !== state.sweep) return;
    bands[k] = parsed(numbers);
    done[k] = count;
    element("progress").value = done.reduce((a, b) => a + b, 0) / total;
    const complete = done.reduce((a, b) => a + b, 0) === total;
    if (bands.filter(Boolean).length === share) {
      state.maps = { ...joined(bands), options, complete };
      paint();
    }
    if (complete) finished(performance.now() - start, share);
  };
  element("progress").value = 0;
  element("speed").textContent = `${total} positions of the mask`;
  delete document.documentElement.dataset.complete;
  ["save-picture", "save-numbers"].forEach((button) => (element(button).disabled = true));
  try {
    await Promise.all(state.back.slice(0, share).map(async (back, k) => {
      back.busy = true;
      const { engine } = await back.ready;
      const key = `${options.resize}`;
      if (back.opened?.photograph !== photograph || back.opened.key !== key) {
        const { width, height } = photograph.pixelSize;
        await engine.call("photograph", photograph.data, [width, height, options.resize]);
        back.opened = { photograph, key };
      }
      const [first, end] = [k, k + 1].map((k) => Math.floor((rows * k) / share));
      const numbers = [options.maskSize, options.stride, options.kind, options.detail, options.logit, options.class, first, end];
      const refined = ({ refined, done }) => show(k, refined, done);
      const answer = await engine.call("explain", null, numbers, refined);
      back.busy = false;
      show(k, answer.numbers, (end - first) * rows);
    }));
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error;
  }
}

// Joins the maps of consecutive rows.
function joined(bands) {
  const all = (of) => bands.flatMap(of);
  return {
    rows: bands.reduce((sum, { rows }) => sum + rows, 0),
    columns: bands[0].columns,
    classes: bands[0].classes,
    scores: bands[0].classes.map((_, k) => all(({ scores }) => scores[k])),
    argmax: all(({ argmax }) => argmax),
    argmaxScores: all(({ argmaxScores }) => argmaxScores),
  };
}

function finished(milliseconds, engines) {
  const { rows, columns } = state.maps;
  const seconds = (milliseconds / 1000).toFixed(milliseconds < 10000 ? 2 : 0);
  element("speed").textContent =
    `${rows * columns} positions of the mask in ${seconds} s, ${workers(engines)}`;
  ["save-picture", "save-numbers"].forEach((button) => (element(button).disabled = false));
  document.documentElement.dataset.complete = String(rows * columns);
}

// ---- Drawing

const viewed = () => {
  const { value } = element("view");
  return value === "classes" ? value : Math.max(state.maps?.classes.findIndex(({ index }) => index === Number(value)) ?? 0, 0);
};

// The classes other than the predicted one that answer at some positions, the most frequent first.
function changes(maps) {
  const counts = new Map();
  maps.argmax.forEach((index) => counts.set(index, (counts.get(index) ?? 0) + 1));
  const predicted = state.photograph.top[0].index;
  const others = [...counts.keys()].filter((index) => index !== predicted).sort((a, b) => counts.get(b) - counts.get(a) || a - b);
  return { counts, others, predicted };
}

let painting = Promise.resolve();

// Paints the map, one picture at a time, and only the newest.
function paint() {
  const { maps, photograph } = state;
  if (maps === null) return painting;
  const id = ++paint.last;
  painting = painting.then(async () => {
    if (id !== paint.last || photograph !== state.photograph) return;
    const view = viewed();
    let values, limit = 0, colours = number("colours");
    if (view === "classes") {
      const { others } = changes(maps);
      values = maps.argmax.map((index) => others.indexOf(index) + 1);
      colours = 3;
    } else {
      values = drops(maps, view);
      limit = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    }
    const { maskSize, stride } = maps.options;
    const smooth = view !== "classes" && element("smooth").checked ? 1 : 0;
    const size = [canvas.width, canvas.height];
    const data = new Float32Array(values).buffer;
    const answer = await state.front.call("paint", data,
      [maskSize, stride, ...size, limit, colours, smooth]);
    const layer = await createImageBitmap(new ImageData(new Uint8ClampedArray(answer.bytes), ...size));
    const bar = view === "classes" ? null : await state.front.call("colour_bar", null, [colours]);
    // Another photograph may have been opened in the meantime.
    if (photograph !== state.photograph || state.maps === null) return;
    state.layer = layer;
    if (bar === null) drawLegend(maps);
    else drawBar(bar.bytes, limit);
    element("scale").hidden = view === "classes";
    element("legend").hidden = view !== "classes";
    element("paler").hidden = view === "classes";
    showViews();
    draw();
    document.documentElement.dataset.painted = String(id);
  }).catch(failed);
  return painting;
}
paint.last = 0;

function draw() {
  const { photograph, layer, mask, covered } = state;
  if (photograph === null) return;
  context.globalAlpha = 1;
  // Colours of classes can be told from each other over grey alone.
  context.filter = element("view").value === "classes" && layer !== null ? "grayscale(1)" : "none";
  context.drawImage(photograph.bitmap, 0, 0, canvas.width, canvas.height);
  context.filter = "none";
  if (layer !== null) {
    context.globalAlpha = number("opacity") / 100;
    context.drawImage(layer, 0, 0);
    context.globalAlpha = 1;
  }
  if (mask !== null && covered !== null) drawCovered(covered);
}

function drawCovered({ edges, colour }) {
  const scales = [canvas.height / state.photograph.height, canvas.width / state.photograph.width];
  const [top, left, bottom, right] = edges.map((edge, i) => Math.round(edge * scales[i % 2]));
  const area = new Path2D();
  area.rect(left, top, right - left, bottom - top);
  drawMask(context, area, area, colour[0] >= 0 ? colour : null);
}

function drawBar(colours, limit) {
  const strip = document.createElement("canvas");
  strip.width = colours.byteLength / 4;
  strip.height = 1;
  strip.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(colours), strip.width, 1), 0, 0);
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", `Colour bar from ${short(-limit)} to ${short(limit)}`);
  const marks = (limit > 0 ? [-limit, 0, limit] : [0]).map((value) => {
    const mark = document.createElement("span");
    mark.textContent = short(value);
    mark.style.left = `${limit > 0 ? (50 * (value + limit)) / limit : 50}%`;
    return mark;
  });
  element("bar").replaceChildren(strip, ...marks);
  element("score-name").textContent = settings().logit ? "logit" : "probability";
}

function drawLegend(maps) {
  const { counts, others, predicted } = changes(maps);
  const entry = (name, count, rgb) => {
    const item = document.createElement("li");
    const swatch = document.createElement("i");
    if (rgb) swatch.style.background = `rgb(${rgb.join(" ")})`;
    const texts = [name, `${count} of ${maps.argmax.length} positions`].map((text) => {
      const span = document.createElement("span");
      span.textContent = text;
      return span;
    });
    item.append(swatch, ...texts);
    return item;
  };
  const { categories } = state;
  const named = others.slice(0, categories.length).map((index, i) => entry(label(index), counts.get(index), categories[i]));
  const rest = others.slice(categories.length).reduce((sum, index) => sum + counts.get(index), 0);
  element("legend").replaceChildren(
    entry(`${label(predicted)} (not coloured: the answer does not change)`, counts.get(predicted) ?? 0),
    ...named,
    ...(rest > 0 ? [entry("other classes", rest, [128, 128, 128])] : []),
  );
}

// ---- The answer

// The classes whose scores are shown: those of the map, or the most probable ones.
const shownClasses = () => {
  const { maps, photograph } = state;
  if (maps !== null && maps.options.logit === settings().logit) return maps.classes;
  return photograph.top;
};

function showScores() {
  const classes = shownClasses();
  const body = element("scores");
  body.replaceChildren(...classes.map(({ index, base }) => {
    const row = document.createElement("tr");
    row.setAttribute("role", "row");
    row.dataset.class = index;
    const name = document.createElement("th");
    name.setAttribute("role", "rowheader");
    name.textContent = label(index);
    const gauge = document.createElement("span");
    gauge.className = "gauge";
    gauge.append(document.createElement("i"), document.createElement("b"));
    name.append(gauge);
    const cells = [0, 1].map(() => {
      const cell = document.createElement("td");
      cell.setAttribute("role", "cell");
      cell.className = "number";
      return cell;
    });
    cells[0].textContent = shortest(base);
    row.append(name, ...cells);
    return row;
  }));
  showMasked();
}

function showMasked() {
  const { covered, mask, photograph } = state;
  if (photograph === null) return;
  const logit = settings().logit === 1;
  const classes = shownClasses();
  const most = Math.max(...classes.map(({ base }) => Math.abs(base)), 1e-30);
  const share = (score) => `${100 * Math.min(Math.max(logit ? score / most : score, 0), 1)}%`;
  const masked = mask !== null && covered !== null ? new Map(covered.scores) : null;
  for (const row of element("scores").rows) {
    const index = Number(row.dataset.class);
    const { base } = classes.find((one) => one.index === index);
    const score = masked?.get(index);
    row.cells[2].textContent = score === undefined ? "–" : shortest(score);
    row.querySelector("i").style.width = share(score ?? base);
    row.querySelector("b").style.left = share(base);
    row.classList.toggle("chosen", element("view").value === String(index));
  }
  const answer = element("answer");
  const predicted = photograph.top[0].index;
  const name = document.createElement("strong");
  if (masked === null) {
    name.textContent = label(predicted);
    answer.replaceChildren("Answer: ", name, ".");
    return;
  }
  name.textContent = label(covered.argmax);
  answer.replaceChildren("Answer with this mask: ", name);
  if (covered.argmax !== predicted) {
    const mark = document.createElement("span");
    mark.className = "changed";
    mark.textContent = `changed from ${shortName(predicted)}`;
    answer.append(", ", mark);
  }
  answer.append(".");
}

function showViews() {
  const view = element("view");
  const chosen = view.value;
  const { maps } = state;
  const score = maps.options.logit ? "logit" : "probability";
  const options = maps.classes.map(({ index, base }) => new Option(`${label(index)} (${score} ${short(base)})`, index));
  options.push(new Option("Most probable class at each position", "classes"));
  const key = options.map(({ text }) => text).join("\n");
  if (key !== showViews.key) {
    showViews.key = key;
    view.replaceChildren(...options);
    const wanted = [state.wanted, chosen].find((one) => options.some(({ value }) => value === one));
    if (wanted !== undefined) view.value = wanted;
    state.wanted = null;
    showScores();
  }
  const what = view.value === "classes" ? "Most probable class at each position" : `Map of ${label(Number(view.value))}`;
  canvas.setAttribute("aria-label", `${what}, over the photograph. Arrow keys move the mask, with Shift by one pixel. Escape removes it.`);
}

// ---- The mask under the pointer

let moving = false;

// Computes the answer with the mask at its place; places that the pointer has left are skipped.
async function cover() {
  if (moving || state.mask === null || state.photograph === null) return;
  moving = true;
  try {
    while (state.mask !== null) {
      const { mask, photograph } = state;
      const { maskSize, kind, detail, logit, class: own } = settings();
      const [y, x] = [(mask[0] * photograph.height) / canvas.height, (mask[1] * photograph.width) / canvas.width];
      const { numbers } = await state.front.call("cover", null, [y, x, maskSize, kind, detail, logit, own]);
      const { classes, scores, argmax, rest } = parsed(numbers);
      if (photograph !== state.photograph) return;
      state.covered = { scores: classes.map(({ index }, k) => [index, scores[k][0]]), argmax: argmax[0], edges: rest.slice(0, 4), centre: rest.slice(4, 6), colour: rest.slice(6) };
      if (state.mask !== null) {
        draw();
        showMasked();
        announce();
      }
      if (mask === state.mask) return;
    }
  } catch (error) {
    failed(error);
  } finally {
    moving = false;
  }
}

function announce() {
  clearTimeout(announce.timer);
  const { covered } = state;
  canvas.dataset.centre = covered.centre.join(" ");
  announce.timer = setTimeout(() => {
    const [y, x] = covered.centre;
    element("status").textContent = `Mask at x ${x}, y ${y}. ${element("answer").textContent}`;
  }, 300);
}

function removeMask() {
  [state.mask, state.covered] = [null, null];
  clearTimeout(announce.timer);
  element("status").textContent = "";
  if (state.photograph === null) return;
  draw();
  showMasked();
}

function pointed(event) {
  const box = canvas.getBoundingClientRect();
  const at = [((event.clientY - box.top) * canvas.height) / box.height, ((event.clientX - box.left) * canvas.width) / box.width];
  state.mask = inside(at);
  cover();
}

const inside = ([y, x]) => [Math.min(Math.max(y, 0), canvas.height - 1), Math.min(Math.max(x, 0), canvas.width - 1)];

function moved(event) {
  // In pixels of the network's picture, if the photograph fills it.
  const [down, across] = [canvas.height, canvas.width].map((side) => ((event.shiftKey ? 1 : 8) * side) / SIDE);
  const [y, x] = state.mask ?? [canvas.height / 2, canvas.width / 2];
  switch (event.key) {
    case "ArrowUp": return [y - down, x];
    case "ArrowDown": return [y + down, x];
    case "ArrowLeft": return [y, x - across];
    case "ArrowRight": return [y, x + across];
    case "Home": return [y, 0];
    case "End": return [y, canvas.width];
    case "PageUp": return [0, x];
    case "PageDown": return [canvas.height, x];
    default: return null;
  }
}

// ---- Controls

function say(text) {
  element("problem").textContent = text;
  element("problem").hidden = text === "";
}

function failed(error) {
  if (error instanceof Cancelled) return;
  say(error.message);
  if (error.fatal) queued(restart);
}

function showSettings() {
  const { maskSize, stride, kind, logit, resize } = settings();
  element("mask-size-value").textContent = `${maskSize} pixels`;
  element("stride-value").textContent = `${stride} pixels`;
  element("opacity-value").textContent = `${number("opacity")} %`;
  const fill = ["", " --mask-value mean", " --mask-value blur:12", " --mask-value noise:1"][kind];
  const top = state.photograph?.top.map(({ index }) => index) ?? [];
  const own = ownClass() >= 0 && !top.includes(ownClass()) ? `,${ownClass()}` : "";
  const more = (state.weights?.more ?? []).map(([option, value]) => ` ${option} ${quoted(value)}`).join("");
  element("command").textContent = `occlude explain ${quoted(state.source?.name ?? "PHOTOGRAPH")}` +
    ` --weights ${quoted(state.weights?.name ?? "builtin")}${more} --classes top5${own} --mask-size ${maskSize} --stride ${stride}${fill}` +
    `${logit ? " --score logit" : ""}${["", " --resize center-crop", " --resize pad", " --resize matlab"][resize]}`;
}

// A file name as a word of a command line.
function quoted(name) {
  // "-" is standard input.
  const path = name.startsWith("-") && name !== "-" ? `./${name}` : name;
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

let resting;

function again() {
  showSettings();
  clearTimeout(resting);
  if (state.photograph === null) return;
  stopSweep();
  // The scores with the mask are those of the settings before.
  state.covered = null;
  showMasked();
  if (state.mask !== null) cover();
  resting = setTimeout(() => sweep().catch(failed), REST);
}

// Opens the photograph again, after a change that it depends on.
function reopen() {
  const { name, data, size } = state.source;
  return open(name, data, size);
}

const openFile = (file) => queued(async () => open(file.name, await file.arrayBuffer()));

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// The numbers under the names that they have in the command's map.json, with as many digits.
function numbersOf(maps) {
  const digits = (number) => Number(shortest(number).replaceAll("−", "-"));
  const grid = (values) =>
    Array.from({ length: maps.rows }, (_, row) => values.slice(row * maps.columns, (row + 1) * maps.columns).map(digits));
  const { maskSize, stride, kind, detail, logit, resize } = maps.options;
  return {
    image: state.photograph.name,
    image_sha256: state.photograph.sha256,
    network: element("network-name").textContent,
    weights_sha256: state.sha256,
    isa: state.isa,
    input_size: [SIDE, SIDE],
    mask_size: [maskSize, maskSize],
    stride: [stride, stride],
    mask_value: ["auto", "mean", `blur:${detail}`, `noise:${detail}`][kind],
    mask_clipping: true,
    region: [0, 0, SIDE, SIDE],
    resize: ["stretch", "center-crop", "pad", "matlab"][resize],
    placement: "centres",
    score: logit ? "logit" : "probability",
    grid: [maps.rows, maps.columns],
    classes: maps.classes.map(({ index, base }) => ({ index, label: label(index), base_score: digits(base) })),
    scores: maps.scores.map(grid),
    maps: maps.classes.map((_, k) => grid(drops(maps, k))),
    argmax: grid(maps.argmax),
    argmax_scores: grid(maps.argmaxScores),
  };
}

function listen() {
  element("file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (file !== undefined) openFile(file);
  });
  element("sample").addEventListener("click", () => queued(async () => open("chelsea.png", await sample())));
  element("remove").addEventListener("click", removeMask);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    element("stage").classList.add("dropping");
  });
  addEventListener("dragleave", () => element("stage").classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    element("stage").classList.remove("dropping");
    if (event.dataTransfer.files.length > 0) openFile(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file !== undefined) openFile(file);
  });
  ["mask-size", "stride"].forEach((id) => element(id).addEventListener("input", again));
  ["fill", "score"].forEach((id) => element(id).addEventListener("change", again));
  element("class").addEventListener("change", () => {
    const index = ownClass();
    if (element("class").value.trim() !== "" && index < 0) {
      say(`No class of this network has the name or the index "${element("class").value}".`);
      return;
    }
    say("");
    // Its map is shown as soon as it is there.
    state.wanted = index < 0 ? null : String(index);
    again();
  });
  element("resize").addEventListener("change", () => queued(() => state.source && reopen()));
  ["colours", "smooth"].forEach((id) => element(id).addEventListener("change", paint));
  element("view").addEventListener("change", () => {
    showMasked();
    paint();
  });
  element("opacity").addEventListener("input", () => {
    showSettings();
    draw();
  });
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointed(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) pointed(event);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") return removeMask();
    const next = moved(event);
    if (next === null) return;
    event.preventDefault();
    state.mask = inside(next);
    cover();
  });
  element("save-picture").addEventListener("click", () => canvas.toBlob((blob) => save("occlude.png", blob)));
  element("save-numbers").addEventListener("click", () =>
    save("map.json", new Blob([JSON.stringify(numbersOf(state.maps))], { type: "application/json" })));
}

// Starts the engines anew, and opens the photograph again.
async function restart() {
  say("");
  const front = await newEngine();
  stopSweep();
  state.back.forEach((back) => back.ready.then(({ engine }) => engine.stop(), () => {}));
  state.back = [];
  state.front?.stop();
  const colours = new Uint8Array((await front.engine.call("colour_bar", null, [3])).bytes);
  const categories = Array.from({ length: colours.length / 4 }, (_, i) => [...colours.subarray(4 * i, 4 * i + 3)]);
  // The maps of the engines before are not theirs.
  Object.assign(state, { photograph: null, maps: null, layer: null, mask: null, covered: null });
  Object.assign(state, { front: front.engine, isa: front.isa, labels: front.labels, sha256: front.sha256, categories });
  element("network-name").textContent = front.name;
  element("classes").replaceChildren(...front.labels.map((name) => new Option(name, name)));
  showEngine();
  showSettings();
  if (state.source !== null) await reopen();
}

addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  failed(event.reason);
});

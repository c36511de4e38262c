"use strict";

// The object of map.json, and the other data of the page (PageData in mod.rs).
const map = JSON.parse(document.getElementById("map").textContent);
const more = JSON.parse(document.getElementById("more").textContent);
const [rows, columns] = map.grid;
const element = (id) => document.getElementById(id);
const photograph = element("photograph");
const canvas = element("canvas");
// Side of the network's picture and of the photograph on the canvas, in pixels.
const side = map.input_size[0];
const photoSide = canvas.width;

const state = {
  view: 0, // index in map.classes, or "classes" for the most probable class at each position
  ...more.shown, // colours, opacity, smooth
  hovered: null, // [row, column] under the mouse
  chosen: null, // [row, column] chosen by keyboard, click or touch
};

// ---- Numbers and names

// With as many digits as in map.json, and a typographic minus sign.
const exact = (number) => String(number).replaceAll("-", "−");
const signed = (number) => (number > 0 ? "+" : "") + exact(number);

function short(number) {
  const size = Math.abs(number);
  if (number === 0) return "0";
  if (size < 1e-3 || size >= 1e4) return number.toExponential(1).replaceAll("-", "−").replace("e+", "e");
  return number.toFixed(Math.min(Math.max(2 - Math.floor(Math.log10(size)), 0), 5)).replaceAll("-", "−");
}

const label = (index) => more.labels[index];
// Adds the index where two classes have the same name, such as "crane".
const firstName = (index) => label(index).split(", ")[0];
const mappedName = (index) => {
  const same = map.classes.filter((other) => firstName(other.index) === firstName(index));
  return firstName(index) + (same.length > 1 ? ` (${index})` : "");
};

// ---- Colours

// Names of the colours of the largest value, the smallest value and zero.
const WORDS = {
  jet: ["red", "blue", "green"],
  viridis: ["yellow", "dark blue"],
  diverging: ["red", "blue", "white"],
};

// The values at the first and the last colour: [low, high].
function limits(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (!more.tables[state.colours].symmetric) return [low, high];
  const limit = Math.max(Math.abs(low), Math.abs(high));
  return [-limit, limit];
}

// A map of equal values has the middle colour.
function colour(value, [low, high]) {
  const share = high > low ? (value - low) / (high - low) : 0.5;
  const table = more.tables[state.colours].colours;
  return table[Math.min(Math.max(Math.floor(share * table.length), 0), table.length - 1)];
}

// ---- Enlarging a map, with the same method as `occlude` and MATLAB's imresize

// For each output pixel, its input cells with their weights.
function taps(cells, size, smooth) {
  return Array.from({ length: size }, (_, o) => {
    if (!smooth) return [[Math.floor(((2 * o + 1) * cells) / (2 * size)), 1]];
    const centre = ((o + 0.5) * cells) / size - 0.5;
    const first = Math.floor(centre) - 1;
    return [0, 1, 2, 3].map((k) => [mirrored(first + k, cells), cubic(first + k - centre)]);
  });
}

// Beyond its ends, the row of cells is mirrored.
function mirrored(cell, cells) {
  const folded = ((cell % (2 * cells)) + 2 * cells) % (2 * cells);
  return folded < cells ? folded : 2 * cells - 1 - folded;
}

// Keys' cubic kernel with a = -0.5.
function cubic(distance) {
  const d = Math.abs(distance);
  if (d <= 1) return (1.5 * d - 2.5) * d * d + 1;
  if (d < 2) return ((-0.5 * d + 2.5) * d - 4) * d + 2;
  return 0;
}

// grid: [ny][nx]; returns height x width values, row by row.
function enlarged(grid, height, width, smooth) {
  const across = taps(grid[0].length, width, smooth);
  const down = taps(grid.length, height, smooth);
  const wide = grid.map((row) => across.map((t) => t.reduce((sum, [cell, weight]) => sum + weight * row[cell], 0)));
  const values = new Float32Array(height * width);
  down.forEach((t, y) => {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const [cell, weight] of t) sum += weight * wide[cell][x];
      values[y * width + x] = sum;
    }
  });
  return values;
}

// ---- Drawing

// A canvas with the values in the colours that `paint` returns.
function painted(values, width, height, paint) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  values.forEach((value, i) => {
    const rgb = paint(value);
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = rgb[c];
    image.data[4 * i + 3] = 255;
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

// The place of a part [y0, x0, y1, x1] of the picture on a canvas of `size`: [x, y, width, height].
function placed([y0, x0, y1, x1], size) {
  const scale = size / side;
  return [x0 * scale, y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale];
}

// The map that is drawn for a class: one value per mask position or, with --aggregate, per pixel.
const drops = (k) =>
  map.attributions ? { grid: map.attributions[k], area: [0, 0, side, side] } : { grid: map.maps[k], area: more.area };

// Draws the photograph with a map over it. Without `common`, the map has its own scale.
function drawGrid(canvas, { grid, area }, common) {
  const [x, y, width, height] = placed(area, canvas.width).map(Math.round);
  const values = enlarged(grid, height, width, state.smooth);
  const span = common ?? limits(values);
  const layer = painted(values, width, height, (value) => colour(value, span));
  overlay(canvas, layer, [x, y, width, height]);
}

function overlay(canvas, layer, place) {
  const context = canvas.getContext("2d");
  context.drawImage(photograph, 0, 0, canvas.width, canvas.height);
  context.globalAlpha = state.opacity;
  context.drawImage(layer, ...place);
  context.globalAlpha = 1;
}

// The enlarged map without the photograph; null when it must be drawn again.
let layer = null;

function drawMap() {
  const classes = state.view === "classes";
  const { grid, area } = classes ? { grid: map.argmax, area: more.area } : drops(state.view);
  const place = placed(area, photoSide).map(Math.round);
  if (layer === null) {
    const [, , width, height] = place;
    const values = enlarged(grid, height, width, state.smooth && !classes);
    const span = limits(values);
    layer = painted(values, width, height, classes ? classColour : (value) => colour(value, span));
    if (!classes) drawBar(element("bar"), span);
  }
  overlay(canvas, layer, place);
  const at = position();
  if (at !== null) drawMask(canvas.getContext("2d"), placed(covered(at), photoSide));
}

// Draws the mask as the network sees it. A mask that is not uniform (blur, noise) is hatched.
function drawMask(context, [x, y, width, height]) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  if (Array.isArray(map.mask_value)) {
    context.fillStyle = `rgb(${map.mask_value.join(" ")})`;
    context.fillRect(x, y, width, height);
  } else {
    for (const [style, shift] of [["#000", 0], ["#fff", 2]]) {
      context.strokeStyle = style;
      context.lineWidth = 2;
      context.beginPath();
      for (let at = shift - height; at < width; at += 12) {
        context.moveTo(x + at, y + height);
        context.lineTo(x + at + height, y);
      }
      context.stroke();
    }
  }
  context.restore();
  // Outside the covered pixels, so that these keep the colour of the mask.
  for (const [style, line] of [["#000", 6], ["#fff", 3]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.strokeRect(x - 3, y - 3, width + 6, height + 6);
  }
}

// At most `most` round values from `low` to `high`, with their texts.
function ticks([low, high], most) {
  if (!(high > low)) return [[low, short(low)]];
  const rough = (high - low) / most;
  let power = Math.floor(Math.log10(rough));
  let step = [1, 2, 5].find((step) => step * 10 ** power >= rough);
  if (step === undefined) [step, power] = [1, power + 1];
  const unit = step * 10 ** power;
  const digits = Math.max(0, -power);
  const text = (value, count) => {
    if (count === 0) return "0";
    return digits > 4 || power > 3 ? `${count * step}e${power}` : value.toFixed(digits);
  };
  const marks = [];
  for (let count = Math.ceil(low / unit); count * unit <= high; count++) {
    marks.push([count * unit, text(count * unit, count).replaceAll("-", "−")]);
  }
  return marks;
}

function drawBar(bar, span) {
  const width = bar.clientWidth || photoSide;
  const steps = Array.from({ length: 256 }, (_, i) => i);
  const strip = painted(steps, 256, 1, (i) => more.tables[state.colours].colours[i]);
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", `Colour bar from ${short(span[0])} to ${short(span[1])}`);
  const marks = ticks(span, Math.min(9, Math.max(3, Math.floor(width / 75)))).map(([value, text]) => {
    const mark = document.createElement("span");
    mark.textContent = text;
    mark.style.left = `${span[1] > span[0] ? (100 * (value - span[0])) / (span[1] - span[0]) : 50}%`;
    return mark;
  });
  bar.replaceChildren(strip, ...marks);
}

// ---- The most probable class at each position

const counts = new Map([[more.predicted, 0]]);
map.argmax.flat().forEach((index) => counts.set(index, (counts.get(index) ?? 0) + 1));
const others = [...counts.keys()]
  .filter((index) => index !== more.predicted)
  .sort((a, b) => counts.get(b) - counts.get(a) || a - b);
const [[UNCHANGED], KINDS, [OTHER]] = more.class_colours;

function classColour(index) {
  return index === more.predicted ? UNCHANGED : KINDS[others.indexOf(index)] ?? OTHER;
}

function drawLegend() {
  const entry = (rgb, name, count) => {
    const item = document.createElement("li");
    const swatch = document.createElement("i");
    swatch.style.background = `rgb(${rgb.join(" ")})`;
    const texts = [name, `${count} of ${rows * columns} positions`].map((text) => {
      const span = document.createElement("span");
      span.textContent = text;
      return span;
    });
    item.append(swatch, ...texts);
    return item;
  };
  const named = [more.predicted, ...others.slice(0, KINDS.length)];
  const entries = named.map((index) =>
    entry(classColour(index), label(index) + (index === more.predicted ? " (predicted class)" : ""), counts.get(index)));
  const rest = others.slice(KINDS.length);
  if (rest.length > 0) {
    const count = rest.reduce((sum, index) => sum + counts.get(index), 0);
    entries.push(entry(OTHER, rest.length === 1 ? "1 other class" : `${rest.length} other classes`, count));
  }
  element("legend").replaceChildren(...entries);
}

// ---- The position of the mask

const position = () => state.hovered ?? state.chosen;

const covered = ([row, column]) => {
  const [[y0, y1], [x0, x1]] = [more.rows[row].pixels, more.columns[column].pixels];
  return [y0, x0, y1, x1];
};

// The mask position whose cell of the map contains a point of the picture.
function positionAt(x, y) {
  const [y0, x0, y1, x1] = more.area;
  if (x < x0 || x >= x1 || y < y0 || y >= y1) return null;
  return [Math.floor(((y - y0) * rows) / (y1 - y0)), Math.floor(((x - x0) * columns) / (x1 - x0))];
}

// The position of the largest drop of the viewed class.
function strongest() {
  const grid = map.maps[state.view === "classes" ? 0 : state.view];
  let best = [0, 0];
  grid.forEach((values, row) => values.forEach((value, column) => {
    if (value > grid[best[0]][best[1]]) best = [row, column];
  }));
  return best;
}

// Shows `text` and keeps the exact value for programs.
function number(parent, value, text) {
  const data = document.createElement("data");
  data.value = String(value);
  data.textContent = text;
  parent.replaceChildren(data);
}

const scoreRows = map.classes.map(({ index, base_score }) => {
  const row = element("scores").insertRow();
  row.setAttribute("role", "row");
  const name = document.createElement("th");
  name.setAttribute("role", "rowheader");
  name.textContent = mappedName(index);
  row.append(name);
  const cells = [0, 1, 2].map(() => {
    const cell = row.insertCell();
    cell.setAttribute("role", "cell");
    cell.className = "number";
    return cell;
  });
  number(cells[0], base_score, exact(base_score));
  return { row, cells };
});

let announcement = 0;

function showPosition() {
  drawMap();
  const at = position();
  const place = ["row", "column", "centre", "covered"];
  clearTimeout(announcement);
  if (at === null) {
    place.forEach((id) => (element(id).textContent = "–"));
    scoreRows.forEach(({ cells }) => cells.slice(1).forEach((cell) => (cell.textContent = "–")));
    element("answer").textContent = "";
    element("status").textContent = "";
    return;
  }
  const [row, column] = at;
  const [y0, x0, y1, x1] = covered(at);
  const [y, x] = [more.rows[row].centre, more.columns[column].centre];
  number(element("row"), row, `${row + 1} of ${rows}`);
  number(element("column"), column, `${column + 1} of ${columns}`);
  element("centre").textContent = `x ${x}, y ${y}`;
  element("covered").textContent = `x ${x0} to ${x1 - 1}, y ${y0} to ${y1 - 1}`;
  scoreRows.forEach(({ cells }, k) => {
    number(cells[1], map.scores[k][row][column], exact(map.scores[k][row][column]));
    number(cells[2], map.maps[k][row][column], signed(map.maps[k][row][column]));
  });

  const index = map.argmax[row][column];
  const score = map.argmax_scores[row][column];
  const changed = index !== more.predicted;
  const answer = element("answer");
  answer.replaceChildren("Predicted class with this mask: ");
  const name = document.createElement("strong");
  name.textContent = label(index);
  const value = document.createElement("span");
  number(value, score, exact(score));
  answer.append(name, ` (${map.score} `, value, ")");
  if (changed) {
    const mark = document.createElement("span");
    mark.className = "changed";
    mark.textContent = `changed from ${firstName(more.predicted)}`;
    answer.append(", ", mark);
  }
  answer.append(".");

  const k = state.view === "classes" ? 0 : state.view;
  const text = `Row ${row + 1} of ${rows}, column ${column + 1} of ${columns}, centre x ${x}, y ${y}. ` +
    `${mappedName(map.classes[k].index)}: ${map.score} ${short(map.classes[k].base_score)} uncovered, ` +
    `${short(map.scores[k][row][column])} masked, drop ${short(map.maps[k][row][column])}. ` +
    `${changed ? "Changed: predicted" : "Predicted"} class ${firstName(index)}, ${short(score)}.`;
  // The delay skips positions that the pointer only passes.
  announcement = setTimeout(() => (element("status").textContent = text), 150);
}

// ---- Controls

function showView() {
  layer = null;
  const classes = state.view === "classes";
  element("scale").hidden = classes;
  element("legend").hidden = !classes;
  element("colours").disabled = classes;
  document.querySelectorAll("[name=upsampling]").forEach((input) => (input.disabled = classes));
  scoreRows.forEach(({ row }, k) => row.classList.toggle("chosen", k === state.view && map.classes.length > 1));
  document.querySelectorAll("#multiples button").forEach((button, k) => button.setAttribute("aria-pressed", k === state.view));
  element("view").value = state.view;
  canvas.setAttribute("aria-label",
    (classes ? "Most probable class at each position" : `Map of ${label(map.classes[state.view].index)}`) +
    `, over the photograph. Arrow keys move the mask over ${rows} rows and ${columns} columns, ` +
    "Home and End move it to the ends of a row, Page Up and Page Down to the ends of a column, Escape removes it.");
  showMeaning();
  showPosition();
  drawGradcam();
}

function showMeaning() {
  const [most, least, zero] = WORDS[state.colours];
  const upper = most[0].toUpperCase() + most.slice(1);
  let text;
  if (state.view === "classes") {
    text = "Each colour is a class: the most probable class with the mask at that position.";
  } else if (zero) {
    text = `${upper}: the score falls under the mask, so this part is evidence for the class (positive value). ` +
      `${least[0].toUpperCase() + least.slice(1)}: the score rises under the mask, so this part is evidence against the class ` +
      `(negative value). ${zero[0].toUpperCase() + zero.slice(1)}: no change.`;
  } else {
    text = `The colours from ${least} to ${most} show how far the score of the class falls under the mask. ` +
      "Positive values are evidence for the class, negative values are evidence against it. The colour bar shows the position of zero.";
  }
  element("meaning").textContent = text;
}

let multiplesSpan = null;

function drawMultiples() {
  if (map.classes.length < 2) return;
  const spans = map.classes.map((_, k) => {
    const { grid, area } = drops(k);
    const [, , width, height] = placed(area, side);
    return limits(enlarged(grid, height, width, state.smooth));
  });
  multiplesSpan = [Math.min(...spans.map(([low]) => low)), Math.max(...spans.map(([, high]) => high))];
  document.querySelectorAll("#multiples canvas").forEach((small, k) => drawGrid(small, drops(k), multiplesSpan));
  drawBar(element("multiples-bar"), multiplesSpan);
}

function drawGradcam() {
  const k = state.view === "classes" ? 0 : state.view;
  const name = label(map.classes[k].index);
  drawGrid(element("pair-occlusion"), drops(k));
  drawGrid(element("pair-gradcam"), { grid: more.gradcam[k], area: [0, 0, side, side] });
  element("pair-occlusion").setAttribute("aria-label", `Occlusion map of ${name}`);
  element("pair-gradcam").setAttribute("aria-label", `Grad-CAM of ${name}`);
  element("pair-class").textContent = name;
}

function redrawAll() {
  showView();
  drawMultiples();
}

function build() {
  const view = element("view");
  map.classes.forEach(({ index, base_score }, k) => view.add(new Option(`${label(index)} (${map.score} ${short(base_score)})`, k)));
  view.add(new Option("Most probable class at each position", "classes"));
  view.addEventListener("change", () => {
    state.view = view.value === "classes" ? "classes" : Number(view.value);
    showView();
  });

  element("colours").addEventListener("change", (event) => {
    state.colours = event.target.value;
    redrawAll();
  });

  const showOpacity = () => (element("opacity-value").textContent = `${Math.round(100 * state.opacity)} %`);
  element("opacity").value = 100 * state.opacity;
  element("colours").value = state.colours;
  element("opacity").addEventListener("input", (event) => {
    state.opacity = event.target.value / 100;
    showOpacity();
    drawMap();
    drawMultiples();
    drawGradcam();
  });
  showOpacity();

  document.querySelectorAll("[name=upsampling]").forEach((input) => {
    input.checked = (input.value === "smooth") === state.smooth;
    input.addEventListener("change", () => {
      state.smooth = input.value === "smooth";
      redrawAll();
    });
  });

  if (map.classes.length > 1) {
    map.classes.forEach(({ index, base_score }, k) => {
      const button = document.createElement("button");
      button.type = "button";
      const small = document.createElement("canvas");
      small.width = small.height = side;
      const name = document.createElement("span");
      name.textContent = label(index);
      const score = document.createElement("span");
      score.textContent = `${map.score} ${short(base_score)}`;
      button.append(small, name, score);
      button.addEventListener("click", () => {
        state.view = k;
        showView();
      });
      element("multiples").append(button);
    });
    element("multiples-note").textContent = "All maps have the same scale. Select a map to enlarge it." +
      (more.left_out > 0 ? ` ${more.left_out} more classes are only in map.json, because a report has at most ${map.classes.length} classes.` : "");
    element("multiples-section").hidden = false;
  }
  element("score-name").textContent = map.score;
  element("how").textContent = "To place the mask, point at the map, touch it, or focus it and use the arrow keys. Escape removes the mask. " +
    `Coordinates are pixels of the ${side}×${side} picture.`;
  drawLegend();
}

// The mask position under the pointer, and the position after a key.
function pointed(event) {
  const box = canvas.getBoundingClientRect();
  return positionAt(((event.clientX - box.left) * side) / box.width, ((event.clientY - box.top) * side) / box.height);
}

function moved([row, column], key) {
  switch (key) {
    case "ArrowUp": return [Math.max(row - 1, 0), column];
    case "ArrowDown": return [Math.min(row + 1, rows - 1), column];
    case "ArrowLeft": return [row, Math.max(column - 1, 0)];
    case "ArrowRight": return [row, Math.min(column + 1, columns - 1)];
    case "Home": return [row, 0];
    case "End": return [row, columns - 1];
    case "PageUp": return [0, column];
    case "PageDown": return [rows - 1, column];
    default: return null;
  }
}

function listen() {
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") state.hovered = pointed(event);
    else state.chosen = pointed(event) ?? state.chosen;
    showPosition();
  });
  canvas.addEventListener("pointerdown", (event) => {
    state.chosen = pointed(event);
    showPosition();
  });
  canvas.addEventListener("pointerleave", () => {
    state.hovered = null;
    showPosition();
  });
  canvas.addEventListener("focus", () => {
    state.chosen ??= strongest();
    showPosition();
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const next = event.key === "Escape" ? null : moved(position() ?? strongest(), event.key);
    if (next === null && event.key !== "Escape") return;
    event.preventDefault();
    state.hovered = null;
    state.chosen = next;
    showPosition();
  });
  // The numbers beside a colour bar depend on its width.
  let width = canvas.clientWidth;
  addEventListener("resize", () => {
    if (canvas.clientWidth === width) return;
    width = canvas.clientWidth;
    layer = null;
    drawMap();
    if (multiplesSpan !== null) drawBar(element("multiples-bar"), multiplesSpan);
  });
}

photograph.decode().then(() => {
  document.querySelectorAll(".scripted").forEach((part) => {
    if (part.id !== "multiples-section") part.hidden = false;
  });
  build();
  redrawAll();
  listen();
});

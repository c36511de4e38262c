// The object of map.json, and the other data of the page (PageData in mod.rs).
const map = JSON.parse(document.getElementById("map").textContent);
const more = JSON.parse(document.getElementById("more").textContent);
const [rows, columns] = map.grid;
const photograph = element("photograph");
const canvas = element("canvas");
// Side of the network's picture, in pixels.
const side = map.input_size[0];

const state = {
  view: 0, // index in map.classes, or "classes" for the most probable class at each position
  ...more.shown, // colours, opacity, smooth, colour_range, extent
  hovered: null, // [row, column] under the mouse
  chosen: null, // [row, column] chosen by keyboard, click or touch
};

// ---- Numbers and names

// With as many digits as in map.json, and a typographic minus sign.
const exact = (number) => String(number).replaceAll("-", "−");
const signed = (number) => (number > 0 ? "+" : "") + exact(number);

const label = (index) => more.labels[index];
// Adds the index where two classes have the same name, such as "crane".
const firstName = (index) => label(index).split(", ")[0];
const mappedLabel = (index) => map.classes.find((other) => other.index === index).label;
const mappedName = (index) => {
  const first = (label) => label.split(", ")[0];
  const name = first(mappedLabel(index));
  const same = map.classes.filter((other) => first(other.label) === name);
  return name + (same.length > 1 ? ` (${index})` : "");
};

// ---- Colours

// Names of the colours of the largest value, the smallest value and zero.
const WORDS = {
  jet: ["red", "blue", "green"],
  viridis: ["yellow", "dark blue"],
  diverging: ["red", "blue", "white"],
};

// True if zero has the middle colour.
function isSymmetric() {
  const usual = more.tables[state.colours].symmetric ? "symmetric" : "minmax";
  return (state.colour_range ?? usual) === "symmetric";
}

// The values at the first and the last colour: [low, high]. Without `chosen`, from a scale that the
// user has not chosen, they are those of the values.
function limits(values, chosen = state.extent) {
  let low = Infinity, high = -Infinity;
  for (const value of chosen ?? values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (!isSymmetric()) return [low, high];
  const limit = Math.max(Math.abs(low), Math.abs(high));
  return [-limit, limit];
}

// The place of a value on the scale, from 0 to 1. Equal values are in the middle; if they are 0, and the
// middle of the colours does not mean 0, they are at the lower end.
function shareOf(value, [low, high]) {
  if (high > low) return (value - low) / (high - low);
  return high === 0 && !more.tables[state.colours].symmetric ? 0 : 0.5;
}

function colour(value, span) {
  const share = shareOf(value, span);
  const table = more.tables[state.colours].colours;
  return table[Math.min(Math.max(Math.floor(share * table.length), 0), table.length - 1)];
}

// ---- The place of a map, with the same methods as `occlude` (src/image/lattice.rs)

// The places on the network's picture of the middles of the pixels of a canvas on an axis, 0 down and
// 1 across. Every canvas shows the whole photograph, the large one in the pixels of `more.framing`.
function places(small, axis) {
  const [size, whole] = axis === 0 ? [small.height, canvas.height] : [small.width, canvas.width];
  return Array.from({ length: size }, (_, at) => toNetwork(axis, ((at + 0.5) * whole) / size));
}

function toNetwork(axis, at) {
  const [start, end] = more.framing[axis];
  return ((at - start) * side) / (end - start);
}

function toPhotograph(axis, at) {
  const [start, end] = more.framing[axis];
  return start + (at * (end - start)) / side;
}

// The index of a place in a line of equally distant places; between two it is not a whole number.
function indexIn(line, at) {
  return line.length === 1 ? 0 : ((at - line[0]) * (line.length - 1)) / (line[line.length - 1] - line[0]);
}

// The line of the middles of cells that fill the network's picture.
const cellPlaces = (count) => Array.from({ length: count }, (_, i) => ((i + 0.5) * side) / count);

// For a place, the cells of the line with their weights.
function taps({ line, held }, at, smooth) {
  const last = line.length - 1;
  const index = Math.min(Math.max(indexIn(line, at), held ? 0 : -0.5), held ? last : last + 0.5);
  if (!smooth) return [[Math.min(Math.max(Math.floor(index + 0.5), 0), last), 1]];
  const first = Math.floor(index) - 1;
  const weights = [0, 1, 2, 3].map((k) => [first + k, cubic(first + k - index)]).filter(([, weight]) => weight !== 0);
  return weights.flatMap(([cell, weight]) => {
    if (cell >= 0 && cell <= last) return [[cell, weight]];
    if (!held) return [[mirrored(cell, line.length), weight]];
    // A parabola through the three outermost values, or a line through two.
    const from = (i) => (cell < 0 ? i : last - i);
    return last === 0 ? [[0, weight]]
      : last === 1 ? [[from(0), 2 * weight], [from(1), -weight]]
      : [[from(0), 3 * weight], [from(1), -3 * weight], [from(2), weight]];
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

// The values of a grid, [ny][nx], at these rows and columns, row by row.
function enlarged({ grid, lines }, rows, columns, smooth) {
  const across = columns.map((at) => taps(lines[1], at, smooth));
  const down = rows.map((at) => taps(lines[0], at, smooth));
  const wide = grid.map((row) => across.map((t) => t.reduce((sum, [cell, weight]) => sum + weight * row[cell], 0)));
  const values = new Float32Array(rows.length * columns.length);
  down.forEach((t, y) => {
    for (let x = 0; x < columns.length; x++) {
      let sum = 0;
      for (const [cell, weight] of t) sum += weight * wide[cell][x];
      values[y * columns.length + x] = sum;
    }
  });
  return values;
}

// True if a place lies in the pixel of one of the outermost places of a line, or between them, so
// that its value is interpolated.
function spans({ line, held }, at) {
  return !held || (at >= Math.floor(line[0]) && at < Math.floor(line[line.length - 1]) + 1);
}

// ---- Drawing

// Share of the opacity of a map where no mask was centred.
const PALE = 0.5;

// A canvas with the values in the colours that `paint` returns, opaque or as `alpha` says.
function painted(values, width, height, paint, alpha = () => 255) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  values.forEach((value, i) => {
    const rgb = paint(value);
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = rgb[c];
    image.data[4 * i + 3] = alpha(Math.floor(i / width), i % width);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

// The lines of places of the mask positions, down and across.
const positionLines = [more.rows, more.columns].map((lines) => ({
  line: lines.map(({ place }) => place),
  held: more.at_points,
}));

// A map whose cells fill the network's picture.
const inCells = (grid) => ({
  grid,
  area: [0, 0, side, side],
  lines: [grid.length, grid[0].length].map((count) => ({ line: cellPlaces(count), held: false })),
});

// A map with one value for each mask position.
const atPositions = (grid) => ({ grid, area: more.area, lines: positionLines });

// The map that is drawn for a class: one value per mask position or, with --aggregate, per pixel.
const drops = (k) => (map.attributions ? inCells(map.attributions[k]) : atPositions(map.maps[k]));

// The colours of a map on a canvas, and their place: [layer, x, y].
function layerOf(canvas, shown, smooth, paint) {
  const inside = (axis) => {
    const all = places(canvas, axis);
    const [start, end] = axis === 0 ? [shown.area[0], shown.area[2]] : [shown.area[1], shown.area[3]];
    const first = all.findIndex((at) => at >= start);
    return [Math.max(first, 0), all.filter((at) => at >= start && at < end)];
  };
  const [[y, down], [x, across]] = [inside(0), inside(1)];
  // A part may be narrower than a pixel of the canvas.
  if (down.length === 0 || across.length === 0) return [null, x, y];
  const values = enlarged(shown, down, across, smooth);
  const [inRows, inColumns] = [down, across].map((line, axis) => line.map((at) => spans(shown.lines[axis], at)));
  const alpha = (row, column) => (inRows[row] && inColumns[column] ? 255 : Math.round(255 * PALE));
  return [painted(values, across.length, down.length, paint, alpha), x, y];
}

// Draws the photograph with a map over it. Without `common`, the map has its own scale.
function drawGrid(canvas, shown, common) {
  const span = common ?? limits(shown.grid.flat());
  overlay(canvas, layerOf(canvas, shown, state.smooth, (value) => colour(value, span)));
}

function overlay(canvas, [layer, x, y], grey = false) {
  const context = canvas.getContext("2d");
  context.drawImage(photograph, 0, 0, canvas.width, canvas.height);
  if (grey) {
    context.globalCompositeOperation = "saturation";
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "source-over";
  }
  if (layer === null) return;
  context.globalAlpha = state.opacity;
  context.drawImage(layer, x, y);
  context.globalAlpha = 1;
}

// The enlarged map without the photograph; null when it must be drawn again.
let layer = null;

function drawMap() {
  const classes = state.view === "classes";
  const shown = classes ? atPositions(map.argmax) : drops(state.view);
  if (layer === null) {
    const span = limits(shown.grid.flat());
    const paint = classes ? classColour : (value) => colour(value, span);
    layer = layerOf(canvas, shown, state.smooth && !classes, paint);
    if (!classes) {
      drawBar(element("bar"), span, shown.grid.flat());
      [element("low-end").textContent, element("high-end").textContent] = endWords(span);
    }
  }
  // On grey, the colours are those of the legend.
  overlay(canvas, layer, classes);
  const at = position();
  if (at === null) return;
  const [[top, bottom], [left, right]] = [0, 1].map((axis) => {
    const edges = [covered(at)[axis], covered(at)[axis + 2]];
    return edges.map((edge) => Math.round(toPhotograph(axis, edge)));
  });
  const rgb = Array.isArray(map.mask_value) ? map.mask_value : null;
  drawMask(canvas.getContext("2d"), [left, top, right - left, bottom - top], rgb);
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
  // The tolerance is needed because the ends and the step are rounded.
  const [first, last] = [Math.ceil(low / unit - 1e-6), Math.floor(high / unit + 1e-6)];
  // The exponent of the largest mark, which all marks share.
  const largest = String(step * Math.max(Math.abs(first), Math.abs(last))).length - 1;
  const text = (value, count) => {
    if (count === 0) return "0";
    const isShort = digits <= 4 && power <= 3;
    return isShort ? value.toFixed(digits) : `${(count * step * 10 ** -largest).toFixed(largest)}e${power + largest}`;
  };
  const marks = [];
  for (let count = first; count <= last; count++) {
    marks.push([count * unit, text(count * unit, count).replaceAll("-", "−")]);
  }
  return marks;
}

// The meaning of the two ends of a colour bar; one sentence if all values are 0.
const endWords = ([low, high]) => low === 0 && high === 0 ? [`no mask changes the ${more.score}`, ""] : [
  low < 0 ? "evidence against" : low > 0 ? "weakest evidence" : "no effect",
  high > 0 ? "evidence for" : high < 0 ? "weakest evidence against" : "no effect",
];

// An end that some of the values lie beyond has its number with ≤ or ≥.
function drawBar(bar, span, values) {
  const width = bar.clientWidth || canvas.width;
  const steps = Array.from({ length: 256 }, (_, i) => i);
  const strip = painted(steps, 256, 1, (i) => more.tables[state.colours].colours[i]);
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", `Colour bar from ${short(span[0])} to ${short(span[1])}`);
  const share = (value) => shareOf(value, span);
  const beyond = [];
  if (values.some((value) => value < span[0])) beyond.push([span[0], `≤ ${exact(span[0])}`, "first"]);
  if (values.some((value) => value > span[1])) beyond.push([span[1], `≥ ${exact(span[1])}`, "last"]);
  const isFree = ([value]) => beyond.every(([end]) => Math.abs(share(value) - share(end)) * width > 110);
  const inside = ticks(span, Math.min(9, Math.max(3, Math.floor(width / 75)))).filter(isFree);
  const marks = inside.concat(beyond).map(([value, text, place = ""]) => {
    const mark = document.createElement("span");
    mark.className = place;
    mark.textContent = text;
    mark.style.left = `${100 * share(value)}%`;
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
    // The colour over a medium grey photograph.
    const share = Math.max(state.opacity, 0.5);
    swatch.style.background = `rgb(${rgb.map((level) => Math.round(128 + (level - 128) * share)).join(" ")})`;
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

// The mask position whose value is drawn at a point of the network's picture: the one whose place is
// nearest.
function positionAt(x, y) {
  const [y0, x0, y1, x1] = more.area;
  if (x < x0 || x >= x1 || y < y0 || y >= y1) return null;
  const nearest = (axis, at) => taps(positionLines[axis], at, false)[0][0];
  return [nearest(0, y), nearest(1, x)];
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
  element("covered").textContent = `${x1 - x0} pixels wide and ${y1 - y0} high, from x ${x0} and y ${y0} on`;
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
  answer.append(name, ` (${more.output} `, value, ")");
  if (changed) {
    const mark = document.createElement("span");
    mark.className = "changed";
    mark.textContent = `changed from ${firstName(more.predicted)}`;
    answer.append(", ", mark);
  }
  answer.append(".");

  const k = state.view === "classes" ? 0 : state.view;
  const text = `Row ${row + 1} of ${rows}, column ${column + 1} of ${columns}, centre x ${x}, y ${y}. ` +
    `${mappedName(map.classes[k].index)}: ${more.score} ${short(map.classes[k].base_score)} uncovered, ` +
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
  const fixed = classes ? "Each position is a tile." : map.attributions ? "Each pixel has a value of its own." : "";
  document.querySelectorAll("[name=upsampling]").forEach((input) => {
    input.disabled = fixed !== "";
    input.checked = (input.value === "smooth") === (state.smooth && !classes);
  });
  element("upsampling-note").textContent = fixed;
  element("caution").textContent = classes ? "" : more.cautions[state.view];
  scoreRows.forEach(({ row }, k) => row.classList.toggle("chosen", k === state.view && map.classes.length > 1));
  document.querySelectorAll("#multiples button").forEach((button, k) => button.setAttribute("aria-pressed", k === state.view));
  element("view").value = state.view;
  canvas.setAttribute("aria-label",
    (classes ? "Most probable class at each position" : `Map of ${map.classes[state.view].label}`) +
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
    text = "Each colour is a class: the most probable class with the mask at that position." +
      (others.length === 0 ? " The answer never changes: no mask changes the predicted class." : "");
  } else if (zero && isSymmetric()) {
    text = `${upper}: the score falls under the mask, so this part is evidence for the class (positive value). ` +
      `${least[0].toUpperCase() + least.slice(1)}: the score rises under the mask, so this part is evidence against the class ` +
      `(negative value). ${zero[0].toUpperCase() + zero.slice(1)}: no change.`;
  } else {
    text = `The colours from ${least} to ${most} show how far the score of the class falls under the mask. ` +
      "Positive values are evidence for the class, negative values are evidence against it. The colour bar shows the position of zero.";
  }
  const [[top, bottom], [left, right]] = more.framing;
  if (top > 0.5 || left > 0.5 || bottom < canvas.height - 0.5 || right < canvas.width - 0.5) {
    text += " The network does not see the dark part.";
  }
  if (more.at_points && (state.view === "classes" || !map.attributions)) {
    text += " The map is paler where no mask was centred.";
  }
  element("meaning").textContent = text;
}

let multiplesSpan = null;

function drawMultiples() {
  if (map.classes.length < 2) return;
  multiplesSpan = limits(map.classes.flatMap((_, k) => drops(k).grid.flat()));
  document.querySelectorAll("#multiples canvas").forEach((small, k) => drawGrid(small, drops(k), multiplesSpan));
  drawMultiplesBar();
}

function drawMultiplesBar() {
  drawBar(element("multiples-bar"), multiplesSpan, map.classes.flatMap((_, k) => drops(k).grid.flat()));
}

function drawGradcam() {
  const k = state.view === "classes" ? 0 : state.view;
  const name = map.classes[k].label;
  drawGrid(element("pair-occlusion"), drops(k));
  // Grad-CAM has another unit, so it has a scale of its own.
  drawGrid(element("pair-gradcam"), inCells(more.gradcam[k]), limits(more.gradcam[k].flat(), null));
  element("pair-occlusion").setAttribute("aria-label", `Occlusion map of ${name}`);
  element("pair-gradcam").setAttribute("aria-label", `Grad-CAM of ${name}`);
  element("pair-class").textContent = name;
}

function redrawAll() {
  showView();
  drawMultiples();
}

// Gives a small canvas the shape of the photograph, with a longest side of `longest` pixels.
function shape(small, longest) {
  const scale = longest / Math.max(canvas.width, canvas.height);
  small.width = Math.max(Math.round(canvas.width * scale), 1);
  small.height = Math.max(Math.round(canvas.height * scale), 1);
}

function build() {
  ["pair-occlusion", "pair-gradcam"].forEach((id) => shape(element(id), 2 * side));
  const view = element("view");
  map.classes.forEach(({ index, base_score }, k) => view.add(new Option(`${mappedLabel(index)} (${more.score} ${short(base_score)})`, k)));
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
    drawLegend();
    drawMap();
    drawMultiples();
    drawGradcam();
  });
  showOpacity();

  document.querySelectorAll("[name=upsampling]").forEach((input) => {
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
      shape(small, side);
      const name = document.createElement("span");
      name.textContent = mappedLabel(index);
      const score = document.createElement("span");
      score.textContent = `${more.score} ${short(base_score)}`;
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
  element("score-name").textContent = more.score;
  element("how").textContent = "To place the mask, point at the map, touch it, or focus it and use the arrow keys. Escape removes the mask. " +
    `Coordinates are pixels of the ${side}×${side} picture.`;
  drawLegend();
}

// The mask position under the pointer, and the position after a key.
function pointed(event) {
  const box = canvas.getBoundingClientRect();
  return positionAt(
    toNetwork(1, ((event.clientX - box.left) * canvas.width) / box.width),
    toNetwork(0, ((event.clientY - box.top) * canvas.height) / box.height),
  );
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
    if (multiplesSpan !== null) drawMultiplesBar();
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

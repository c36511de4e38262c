// The report's data, and the drawing of its maps.

// The object of map.json, and the other data of the page (PageData in mod.rs).
const map = JSON.parse(document.getElementById("map").textContent);
const more = JSON.parse(document.getElementById("more").textContent);
const [rows, columns] = map.grid;
// With parts of the picture in place of a mask that slides, the grid has one row, and a column for each.
const segments = map.segments ?? null;
const words = more.words;
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
    image.data[4 * i + 3] = alpha(Math.floor(i / width), i % width, value);
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

// A map with one value for each mask position, or for each part.
const atPositions = (grid) => ({ grid, area: more.area, lines: positionLines });

// The values of pixels that are stored as runs of equal ones.
const unpacked = (runs = []) => runs.flatMap(([value, count]) => Array(count).fill(value));

// For each pixel of the network's picture, the index of its part, or null.
const partOfPixel = unpacked(more.parts);

// For each pixel of a whole mask that is no rectangle, true if it is covered by half or more.
const isMasked = unpacked(more.mask);

function partAt(x, y) {
  const isInside = x >= 0 && x < side && y >= 0 && y < side;
  return isInside ? partOfPixel[Math.floor(y) * side + Math.floor(x)] : null;
}

// The map that is drawn for a class: one value per mask position or part or, with --aggregate, per pixel.
const drops = (k) => (map.attributions ? inCells(map.attributions[k]) : atPositions(map.maps[k]));

// The colours of a map on a canvas, and their place: [layer, x, y]. Without `alpha`, it is opaque, and paler
// where no mask was centred.
function layerOf(canvas, shown, smooth, paint, alpha = null) {
  if (segments !== null && shown.lines === positionLines) return [layerOfParts(canvas, shown.grid[0], paint), 0, 0];
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
  alpha ??= (row, column) => (inRows[row] && inColumns[column] ? 255 : Math.round(255 * PALE));
  return [painted(values, across.length, down.length, paint, alpha), x, y];
}

// The colours of one value for each part, which fill it.
function layerOfParts(canvas, values, paint) {
  const [down, across] = [0, 1].map((axis) => places(canvas, axis));
  const parts = down.flatMap((y) => across.map((x) => partAt(x, y)));
  const colours = values.map(paint);
  const colourOf = (part) => (part === null ? [0, 0, 0] : colours[part]);
  return painted(parts, canvas.width, canvas.height, colourOf, (row, column, part) => (part === null ? 0 : 255));
}

// Distance between the lines of a hatching and their width, as on figures.
const HATCH = [14, 2];

// Draws lines over the positions of a grid whose value is 1.
function hatch(canvas, grid) {
  const isLine = (row, column) => (row + column) % HATCH[0] < HATCH[1];
  const alpha = (row, column, value) => (value === 1 && isLine(row, column) ? 191 : 0);
  const [lines, x, y] = layerOf(canvas, atPositions(grid), false, () => [25, 25, 30], alpha);
  if (lines !== null) canvas.getContext("2d").drawImage(lines, x, y);
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
  const [area, border] = segments !== null ? pathsOfPart(at[1])
    : map.mask_shape ? pathsOfPixels(covered(at), coveredBy(at)) : pathsOf(covered(at));
  const rgb = Array.isArray(map.mask_value) ? map.mask_value : null;
  drawMask(canvas.getContext("2d"), area, border, rgb, map.inverse);
}

// The pixel of the canvas at an edge of pixels of the network's picture.
const edgeOf = (axis, edge) => Math.round(toPhotograph(axis, edge));

// The area and the border of a rectangle on the canvas, as paths.
function pathsOf([y0, x0, y1, x1]) {
  const [top, left] = [edgeOf(0, y0), edgeOf(1, x0)];
  const path = new Path2D();
  path.rect(left, top, edgeOf(1, x1) - left, edgeOf(0, y1) - top);
  return [path, path];
}

// The same of a part of the picture.
const pathsOfPart = (part) => pathsOfPixels(segments[part].box, (y, x) => partAt(x, y) === part);

// Tells of a pixel of the network's picture whether the mask at a position covers at least half of it.
function coveredBy([row, column]) {
  const [height, width] = map.mask_size;
  // The first row and column of the whole mask, which may lie outside of the picture.
  const top = more.rows[row].centre - Math.floor(height / 2);
  const left = more.columns[column].centre - Math.floor(width / 2);
  return (y, x) => isMasked[(y - top) * width + x - left];
}

// The same of the pixels of a box that `isInside` holds for: these, and those edges of them that lie at their
// border.
function pathsOfPixels([y0, x0, y1, x1], isInside) {
  const [area, border] = [new Path2D(), new Path2D()];
  const line = (from, to) => {
    border.moveTo(edgeOf(1, from[0]), edgeOf(0, from[1]));
    border.lineTo(edgeOf(1, to[0]), edgeOf(0, to[1]));
  };
  const holds = (y, x) => y >= y0 && y < y1 && x >= x0 && x < x1 && isInside(y, x);
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      if (!holds(y, x)) continue;
      const [left, top] = [edgeOf(1, x), edgeOf(0, y)];
      area.rect(left, top, edgeOf(1, x + 1) - left, edgeOf(0, y + 1) - top);
      if (!holds(y, x - 1)) line([x, y], [x, y + 1]);
      if (!holds(y, x + 1)) line([x + 1, y], [x + 1, y + 1]);
      if (!holds(y - 1, x)) line([x, y], [x + 1, y]);
      if (!holds(y + 1, x)) line([x, y + 1], [x + 1, y + 1]);
    }
  }
  return [area, border];
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
const endWords = ([low, high]) => low === 0 && high === 0 ? [`no ${words.mask} changes the ${more.score}`, ""] : [
  low < 0 ? words.ends[1] : low > 0 ? `weakest ${words.ends[0]}` : "no effect",
  high > 0 ? words.ends[0] : high < 0 ? `weakest ${words.ends[1]}` : "no effect",
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


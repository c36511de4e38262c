// What the report shows beside its maps, and what its reader can do.

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
    const texts = [name, `${count} of ${rows * columns} ${words.positions}`].map((text) => {
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
// nearest, or the part that it belongs to.
function positionAt(x, y) {
  if (segments !== null) {
    const part = partAt(x, y);
    return part === null ? null : [0, part];
  }
  const [y0, x0, y1, x1] = more.area;
  if (x < x0 || x >= x1 || y < y0 || y >= y1) return null;
  const nearest = (axis, at) => taps(positionLines[axis], at, false)[0][0];
  return [nearest(0, y), nearest(1, x)];
}

// The index in map.classes of the class that the sections below the map show.
const shownClass = () => (state.view === "classes" ? 0 : state.view);

// The position of the largest drop of the viewed class.
function strongest() {
  const grid = map.maps[shownClass()];
  let best = [0, 0];
  grid.forEach((values, row) => values.forEach((value, column) => {
    if (value > grid[best[0]][best[1]]) best = [row, column];
  }));
  return best;
}

// An element that shows `text` and keeps the exact value for programs.
function data(value, text) {
  const made = document.createElement("data");
  made.value = String(value);
  made.textContent = text;
  return made;
}

function number(parent, value, text) {
  parent.replaceChildren(data(value, text));
}

// The first of the two scores that a map is the difference of.
const compared = (k) => (map.inverse ? map.covered_scores[k] : map.classes[k].base_score);

const scoreRows = map.classes.map(({ index }, k) => {
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
  number(cells[0], compared(k), exact(compared(k)));
  return { row, cells };
});

let announcement = 0;

function showPosition() {
  drawMap();
  const at = position();
  clearTimeout(announcement);
  document.querySelectorAll("#strongest tr").forEach((row) => {
    row.classList.toggle("chosen", at !== null && row.dataset.part === String(at[1]));
  });
  if (at === null) {
    document.querySelectorAll("#place dd").forEach((fact) => (fact.textContent = "–"));
    scoreRows.forEach(({ cells }) => cells.slice(1).forEach((cell) => (cell.textContent = "–")));
    element("answer").textContent = "";
    element("status").textContent = "";
    return;
  }
  const [row, column] = at;
  const [y0, x0, y1, x1] = segments === null ? covered(at) : segments[column].box;
  const place = segments === null ? showPlace(at) : showPart(segments[column]);
  const box = `${x1 - x0} ${x1 - x0 === 1 ? "pixel" : "pixels"} wide and ${y1 - y0} high, from x ${x0} and y ${y0} on`;
  const shaped = { ellipse: `in a box ${box}`, gaussian: `in a box ${box}; the outline encloses those that are covered by half or more` };
  element("covered").textContent = shaped[map.mask_shape] ?? box;
  scoreRows.forEach(({ cells }, k) => {
    number(cells[1], map.scores[k][row][column], exact(map.scores[k][row][column]));
    number(cells[2], map.maps[k][row][column], signed(map.maps[k][row][column]));
  });

  const index = map.argmax[row][column];
  const score = map.argmax_scores[row][column];
  const changed = index !== more.predicted;
  const answer = element("answer");
  answer.replaceChildren(`Predicted class ${words.answers[1]}: `);
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

  const k = shownClass();
  const [before, during, difference] = words.columns.map((column) => column.toLowerCase());
  const text = `${place} ${mappedName(map.classes[k].index)}: ${more.score} ${short(compared(k))} ${before}, ` +
    `${short(map.scores[k][row][column])} ${during}, ${difference} ${short(map.maps[k][row][column])}. ` +
    `${changed ? "Changed: predicted" : "Predicted"} class ${firstName(index)}, ${short(score)}.`;
  // The delay skips positions that the pointer only passes.
  announcement = setTimeout(() => (element("status").textContent = text), 150);
}

// Shows which position of the grid is chosen, and returns it in words.
function showPlace([row, column]) {
  const [y, x] = [more.rows[row].centre, more.columns[column].centre];
  number(element("row"), row, `${row + 1} of ${rows}`);
  number(element("column"), column, `${column + 1} of ${columns}`);
  element("centre").textContent = `x ${x}, y ${y}`;
  return `Row ${row + 1} of ${rows}, column ${column + 1} of ${columns}, centre x ${x}, y ${y}.`;
}

// The same of a part.
function showPart({ number: name, pixels }) {
  const size = `${pixels} pixels, ${short((100 * pixels) / side ** 2)} % of the picture`;
  number(element("part"), name, String(name));
  number(element("size"), pixels, size);
  return `Part ${name}, ${size}.`;
}

// The number of parts in the table of the strongest.
const LISTED = 10;

// Lists the parts of the largest drops or rises of the viewed class. The mouse on a row shows the part, and
// its button chooses it.
function listStrongest() {
  if (segments === null) return;
  const k = shownClass();
  const [drops] = map.maps[k];
  const order = drops.map((_, part) => part).sort((a, b) => Math.abs(drops[b]) - Math.abs(drops[a]) || a - b);
  element("strongest-class").textContent = mappedName(map.classes[k].index);
  element("strongest").replaceChildren(...order.slice(0, LISTED).map((part) => {
    const row = document.createElement("tr");
    row.dataset.part = part;
    const name = document.createElement("th");
    name.scope = "row";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = segments[part].number;
    button.addEventListener("click", () => {
      state.chosen = [0, part];
      showPosition();
    });
    name.append(button);
    row.append(name);
    const score = map.scores[k][0][part];
    const values = [
      [segments[part].pixels, String(segments[part].pixels)], [score, short(score)],
      [drops[part], (drops[part] > 0 ? "+" : "") + short(drops[part])],
    ];
    for (const [value, text] of values) {
      const cell = row.insertCell();
      cell.className = "number";
      number(cell, value, text);
    }
    const hover = (at) => () => {
      state.hovered = at;
      showPosition();
    };
    row.addEventListener("mouseenter", hover([0, part]));
    row.addEventListener("mouseleave", hover(null));
    return row;
  }));
}

// ---- Controls

function showView() {
  layer = null;
  const classes = state.view === "classes";
  element("scale").hidden = classes;
  element("legend").hidden = !classes;
  element("colours").disabled = classes;
  const fixed = classes || segments !== null ? words.tiles : map.attributions ? "Each pixel has a value of its own." : "";
  document.querySelectorAll("[name=upsampling]").forEach((input) => {
    input.disabled = fixed !== "";
    input.checked = (input.value === "smooth") === (state.smooth && !classes && segments === null);
  });
  element("upsampling-note").textContent = fixed;
  element("caution").textContent = classes ? "" : more.cautions[state.view];
  scoreRows.forEach(({ row }, k) => row.classList.toggle("chosen", k === state.view && map.classes.length > 1));
  document.querySelectorAll("#multiples button").forEach((button, k) => button.setAttribute("aria-pressed", k === state.view));
  element("view").value = state.view;
  canvas.setAttribute("aria-label",
    (classes ? words.classes : `Map of ${map.classes[state.view].label}`) +
    `, over the photograph. ${words.keys}`);
  // The heading of entropy names no subject.
  if (element("subject")) element("subject").textContent = map.classes[shownClass()].label;
  showMeaning();
  listStrongest();
  showPosition();
  drawGradcam();
  drawRobust();
}

function showMeaning() {
  const [most, least, zero] = WORDS[state.colours];
  const upper = most[0].toUpperCase() + most.slice(1);
  let text;
  if (state.view === "classes") {
    text = `Each colour is a class: the most probable class ${words.answers[0]}.` +
      (others.length === 0 ? ` The answer never changes: no ${words.mask} changes the predicted class.` : "");
  } else if (zero && isSymmetric()) {
    text = `${upper}: ${words.effects[0]}, so this part is ${words.evidence[0]} (positive value). ` +
      `${least[0].toUpperCase() + least.slice(1)}: ${words.effects[1]}, so this part is ${words.evidence[1]} ` +
      `(negative value). ${zero[0].toUpperCase() + zero.slice(1)}: no change.`;
  } else {
    text = `The colours from ${least} to ${most} show how far ${words.effects[0]}. ` +
      `Positive values: ${words.evidence[0]}, negative values: ${words.evidence[1]}. The colour bar shows the position of zero.`;
  }
  const [[top, bottom], [left, right]] = more.framing;
  if (top > 0.5 || left > 0.5 || bottom < canvas.height - 0.5 || right < canvas.width - 0.5) {
    text += " The network does not see the dark part.";
  }
  if (more.at_points && (state.view === "classes" || !map.attributions)) {
    text += ` The map is paler where no ${words.mask} was centred.`;
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
  if (!more.gradcam.length) return;
  const k = shownClass();
  const name = map.classes[k].label;
  drawGrid(element("pair-occlusion"), drops(k));
  // Grad-CAM has another unit, so it has a scale of its own.
  drawGrid(element("pair-gradcam"), inCells(more.gradcam[k]), limits(more.gradcam[k].flat(), null));
  element("pair-occlusion").setAttribute("aria-label", `Occlusion map of ${name}`);
  element("pair-gradcam").setAttribute("aria-label", `Grad-CAM of ${name}`);
  element("pair-class").textContent = name;
  element("gradcam-caption").textContent = more.gradcam[k].flat().some((value) => value > 0) ? "Grad-CAM" : "Grad-CAM: no evidence for the class";
}

// The mean of the maps with other masks, and these maps.
function drawRobust() {
  if (!map.robust) return;
  const k = shownClass();
  const { mean, agreeing, needed, maps } = map.robust[k];
  const canvas = element("robust-mean");
  // Shares of the largest magnitude have another unit than drops, so they have a scale of their own.
  const span = limits(mean.flat(), null);
  drawGrid(canvas, atPositions(mean), span);
  hatch(canvas, agreeing.map((row) => row.map((count) => (count < needed ? 1 : 0))));
  canvas.setAttribute("aria-label", `Mean map of ${map.classes[k].label}`);
  drawBar(element("robust-bar"), span, mean.flat());
  element("robust-class").textContent = map.classes[k].label;
  element("survivors").textContent = more.survivors[k];
  document.querySelectorAll("#robust-maps figure").forEach((figure, m) => {
    const [small, caption] = figure.children;
    const { map: values, largest, correlation } = maps[m];
    drawGrid(small, atPositions(values), limits(values.flat(), null));
    small.setAttribute("aria-label", `Map of ${map.classes[k].label} with the mask ${more.masks[m]}`);
    caption.replaceChildren(`${more.masks[m]}; largest magnitude `, data(largest, short(largest)));
    if (correlation !== null) caption.append("; correlation with the mean ", data(correlation, correlation.toFixed(2).replace("-", "−")));
  });
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
  if (more.gradcam.length) ["pair-occlusion", "pair-gradcam"].forEach((id) => shape(element(id), 2 * side));
  const view = element("view");
  map.classes.forEach(({ index, base_score }, k) => view.add(new Option(`${mappedLabel(index)} (${more.score} ${short(base_score)})`, k)));
  view.add(new Option(words.classes, "classes"));
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
    drawRobust();
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
      (more.left_out > 0 ? ` The report holds the ${map.classes.length} most probable of ${map.classes.length + more.left_out} classes; map.json has all.` : "");
    element("multiples-section").hidden = false;
  }
  element("score-name").textContent = more.score;
  for (const _ of more.masks ?? []) {
    const figure = document.createElement("figure");
    const small = document.createElement("canvas");
    small.setAttribute("role", "img");
    shape(small, side);
    figure.append(small, document.createElement("figcaption"));
    element("robust-maps").append(figure);
  }
  if (map.robust) shape(element("robust-mean"), 2 * side);
  element("how").textContent = `${words.how} ` +
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
    drawRobust();
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

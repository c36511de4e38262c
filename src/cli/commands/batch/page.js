
// The page of a batch: the order of the cards, and which of them are shown.
const data = JSON.parse(element("data").textContent);
const list = element("cards");
const cards = [...list.children];
const sort = element("sort");
const direction = element("direction");
const filter = element("filter");

function option(select, value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  select.append(made);
}

option(sort, "", "path");
data.keys.forEach((words, key) => option(sort, key, words));

option(filter, "", `all (${cards.length})`);
const wrong = data.rows.filter((row) => row.wrong).length;
if (wrong > 0) option(filter, "wrong", `wrong answers (${wrong})`);
const counts = new Map();
for (const { answer } of data.rows) counts.set(answer, (counts.get(answer) ?? 0) + 1);
for (const [answer, count] of [...counts].sort(([a], [b]) => a.localeCompare(b))) {
  option(filter, `=${answer}`, `${answer} (${count})`);
}

function isShown(row) {
  if (filter.value === "") return true;
  return filter.value === "wrong" ? row.wrong : `=${row.answer}` === filter.value;
}

// Orders the cards; those without a value come last.
function arrange() {
  const key = sort.value;
  const isPath = key === "";
  direction.hidden = isPath;
  const rising = direction.getAttribute("aria-pressed") === "true";
  direction.textContent = rising ? "smallest first" : "largest first";
  const value = (i) => data.rows[i].values[key] ?? null;
  const order = cards.map((_, i) => i);
  if (!isPath) {
    order.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return (rising ? x - y : y - x) || a - b;
    });
  }
  let shown = 0;
  cards.forEach((card, i) => {
    card.hidden = !isShown(data.rows[i]);
    shown += !card.hidden;
    // The drop and the confidence are on the card anyway.
    const extra = key > 2 ? value(i) : null;
    card.querySelector(".more").textContent = extra === null ? "" : `${data.keys[key]}: ${short(extra)}`;
  });
  list.replaceChildren(...order.map((i) => cards[i]));
  element("status").textContent = `${shown} of ${cards.length} photographs`;
}

sort.addEventListener("change", arrange);
filter.addEventListener("change", arrange);
direction.addEventListener("click", () => {
  direction.setAttribute("aria-pressed", direction.getAttribute("aria-pressed") !== "true");
  arrange();
});
document.querySelectorAll(".scripted").forEach((part) => { part.hidden = false; });
arrange();

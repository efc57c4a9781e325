"use strict";
const themes = JSON.parse(document.getElementById("themes").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const specs = new Map();
for (const script of document.querySelectorAll("script[data-plot]")) {
  specs.set(script.dataset.plot, script.textContent);
}

function coloured(value, theme) {
  if (Array.isArray(value)) return value.map((item) => coloured(item, theme));
  if (value === null || typeof value !== "object") return value;
  const pairs = Object.entries(value).map(([key, item]) => {
    const names = key === "color" ? [item].flat().map((name) => theme[name] || name) : null;
    return [key, names ? (Array.isArray(item) ? names : names[0]) : coloured(item, theme)];
  });
  return Object.fromEntries(pairs);
}

function draw(id, printing) {
  const theme = themes[dark.matches && !printing ? "dark" : "light"];
  const spec = coloured(JSON.parse(specs.get(id)), theme);
  const axis = { gridcolor: theme.rule, linecolor: theme.rule, automargin: true };
  Object.assign(spec.layout, {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "inherit", size: 13, color: theme.ink },
    hoverlabel: { font: { family: "inherit" } },
    xaxis: { ...spec.layout.xaxis, ...axis },
    yaxis: { ...spec.layout.yaxis, ...axis },
  });
  return Plotly.react(id, spec.data, spec.layout, { displayModeBar: false, responsive: true });
}

const opened = [];
addEventListener("beforeprint", () => {
  for (const item of document.querySelectorAll("details:not([open])")) opened.push(item);
  opened.forEach((item) => { item.open = true; });
});
addEventListener("afterprint", () => opened.splice(0).forEach((item) => { item.open = false; }));

if (specs.size) {
  const drawn = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting && !drawn.has(e.target.id))) {
      drawn.add(entry.target.id);
      draw(entry.target.id, false);
    }
  }, { rootMargin: "600px" });
  for (const id of specs.keys()) watcher.observe(document.getElementById(id));
  dark.addEventListener("change", () => drawn.forEach((id) => draw(id, false)));
  addEventListener("beforeprint", () => [...specs.keys()].forEach((id) => draw(id, true)));
  addEventListener("afterprint", () => {
    for (const id of specs.keys()) drawn.add(id);
    drawn.forEach((id) => draw(id, false));
  });
}

function cellValue(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
}

function compare(a, b) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => sign * compare(cellValue(a, column), cellValue(b, column)));
    table.tBodies[0].append(...rows);
  }));
}

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(document.getElementById(button.dataset.copy));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    const done = document.execCommand("copy");
    button.parentElement.querySelector(".copied").textContent = done ? " Copied." : " Selected: press Ctrl+C.";
  });
}

const links = new Map([...document.querySelectorAll("nav.side > ol > li > a")].map((a) => [a.hash.slice(1), a]));
const reading = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((e) => e.isIntersecting)) {
    links.forEach((link, id) => (id === entry.target.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
  }
}, { rootMargin: "-20% 0px -70% 0px" });
for (const id of links.keys()) reading.observe(document.getElementById(id));

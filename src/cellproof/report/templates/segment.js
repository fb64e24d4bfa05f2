"use strict";
const table = document.getElementById("images");
const all = table ? [...table.tBodies[0].rows] : [];
const visible = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);

// Sorting
const value = (row, key) => row.querySelector(`td[data-key="${key}"]`).dataset.value;
function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  if (a === "nan" || b === "nan") return (a === "nan") - (b === "nan");
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
}
function sortBy(key, direction) {
  table.querySelectorAll("th").forEach((head) => {
    if (head.dataset.key === key) head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => direction * compare(value(a, key), value(b, key)));
  table.tBodies[0].append(...rows);
  document.getElementById("order").value = key;
}
table?.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
  const head = button.parentElement;
  sortBy(head.dataset.key, head.getAttribute("aria-sort") === "ascending" ? -1 : 1);
}));

// Searching and filtering
const tools = document.getElementById("tools");
function filter() {
  const words = document.getElementById("search").value.toLowerCase();
  const verdicts = [...tools.querySelectorAll("input:checked")].map((box) => box.value);
  all.forEach((row) => {
    row.hidden = !(verdicts.includes(row.dataset.verdict) && row.dataset.name.toLowerCase().includes(words));
  });
  const count = all.filter((row) => !row.hidden).length;
  document.getElementById("shown").textContent = count === all.length ? "" : `${count} of ${all.length} shown`;
}
if (tools && all.length > 1) {
  tools.hidden = false;
  tools.addEventListener("input", (event) => event.target.id === "order" ? sortBy(event.target.value, 1) : filter());
}

// Looking
const viewer = document.getElementById("viewer");
const stage = document.getElementById("stage");
const shown = document.getElementById("viewer-image");
const at = { row: null, view: "Overlay", before: "Overlay", scale: 1, x: 0, y: 0 };

function thumbnail(row, view) {
  return row.querySelector(`a[data-view="${view}"] img`)?.src ?? row.querySelector(".shot img")?.src ?? "";
}
function place() {
  shown.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.scale})`;
  shown.style.imageRendering = at.scale > 4 ? "pixelated" : "auto";
}
function fit() { Object.assign(at, { scale: 1, x: 0, y: 0 }); place(); }
function zoom(factor, x = 0, y = 0) {
  if (!factor) { fit(); return; }
  const scale = Math.min(40, Math.max(1, at.scale * factor));
  const change = scale / at.scale;
  Object.assign(at, { scale, x: x - (x - at.x) * change, y: y - (y - at.y) * change });
  if (scale === 1) Object.assign(at, { x: 0, y: 0 });
  place();
}
function show() {
  const views = JSON.parse(at.row.dataset.views);
  const named = views.find(([name]) => name === at.view) ?? views[0];
  document.getElementById("viewer-name").textContent = at.row.dataset.name;
  document.getElementById("viewer-why").textContent = at.row.dataset.why;
  document.getElementById("viewer-badge").replaceChildren(at.row.querySelector(".badge").cloneNode(true));
  const group = document.getElementById("viewer-views");
  group.replaceChildren(...views.map(([name], number) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: name, title: String(number + 1) });
    button.setAttribute("aria-pressed", String(named && name === named[0]));
    button.addEventListener("click", () => choose(name));
    return button;
  }));
  // Without the files beside the page, as after sending it by mail, the small picture inside it has to do.
  shown.onerror = () => { shown.onerror = null; shown.src = thumbnail(at.row, at.view); };
  shown.src = named ? named[1] : thumbnail(at.row, at.view);
  shown.alt = `${at.view} of ${at.row.dataset.name}`;
}
function choose(view) {
  if (view === at.view) return;
  at.before = at.view === "Image" ? at.before : at.view;
  at.view = view;
  show();
}
function move(by) {
  const rows = visible();
  const row = rows[rows.indexOf(at.row) + by];
  if (!row) return;
  at.row = row;
  fit();
  show();
}
table?.addEventListener("click", (event) => {
  const link = event.target.closest("a.open");
  if (!link || !viewer.showModal || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  Object.assign(at, { row: link.closest("tr"), view: link.dataset.view, before: link.dataset.view });
  fit();
  viewer.showModal();
  show();
  stage.focus();
});
viewer.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.move) move(Number(button.dataset.move));
  if (button?.dataset.zoom) zoom(Number(button.dataset.zoom));
  if (button?.id === "viewer-close") viewer.close();
  else stage.focus();  // so that the space key blinks instead of pressing the button again
});
viewer.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const views = JSON.parse(at.row.dataset.views);
  const chosen = views[Number(event.key) - 1];
  if (event.key === "ArrowLeft") move(-1);
  else if (event.key === "ArrowRight") move(1);
  else if (event.key === "+" || event.key === "=") zoom(1.5);
  else if (event.key === "-") zoom(1 / 1.5);
  else if (event.key === "0") fit();
  else if (event.key === " ") choose(at.view === "Image" ? at.before : "Image");
  else if (event.key.trim() && chosen) choose(chosen[0]);
  else return;
  event.preventDefault();
});
const fromMiddle = (event) => {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
};
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, ...fromMiddle(event));
}, { passive: false });
stage.addEventListener("dblclick", (event) => zoom(at.scale > 1 ? 0 : 3, ...fromMiddle(event)));

// One finger or the mouse moves, two fingers zoom.
const pointers = new Map();
const spread = () => {
  const [a, b] = [...pointers.values()];
  return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
};
stage.addEventListener("pointerdown", (event) => { pointers.set(event.pointerId, event); stage.setPointerCapture(event.pointerId); });
stage.addEventListener("pointermove", (event) => {
  const last = pointers.get(event.pointerId);
  if (!last) return;
  if (pointers.size === 2) {
    const before = spread();
    pointers.set(event.pointerId, event);
    zoom(spread() / before, ...fromMiddle(event));
    return;
  }
  if (at.scale > 1) { at.x += event.clientX - last.clientX; at.y += event.clientY - last.clientY; place(); }
  pointers.set(event.pointerId, event);
});
["pointerup", "pointercancel"].forEach((kind) => stage.addEventListener(kind, (event) => pointers.delete(event.pointerId)));

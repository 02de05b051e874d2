"use strict";
const body = document.querySelector("tbody");
const rows = [...body.rows];
const find = document.getElementById("find");
const boxes = [...document.querySelectorAll("fieldset input")];
const count = document.getElementById("count");
const tip = document.getElementById("tip");
const nothing = document.querySelector(".nothing");

function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  const states = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  let shown = 0;
  for (const row of rows) {
    const fits = states.has(row.className) && words.every((word) => row.dataset.sought.includes(word));
    row.hidden = !fits;
    shown += fits;
  }
  count.textContent = shown === rows.length ? `${shown} volumes` : `${shown} of ${rows.length} volumes`;
  nothing.hidden = shown > 0;
}

function sortBy(button) {
  const head = button.closest("th");
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of document.querySelectorAll("thead th")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = button.dataset.by;
  const order = rows.map((row, number) => [row.dataset[key], number, row]);
  order.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0) * (down ? -1 : 1) || a[1] - b[1]);
  body.append(...order.map((item) => item[2]));
}

function said(mark) {
  const title = mark.querySelector("title");
  if (title) {
    mark.dataset.said = title.textContent;
    title.remove();
  }
  return mark.dataset.said;
}

function show(mark) {
  for (const other of document.querySelectorAll("svg.lane .at")) other.classList.remove("at");
  mark.classList.add("at");
  tip.textContent = said(mark);
  tip.hidden = false;
  const at = mark.getBoundingClientRect();
  const left = at.left + at.width / 2 - tip.offsetWidth / 2;
  tip.style.left = `${Math.max(8, Math.min(left, innerWidth - tip.offsetWidth - 8))}px`;
  const above = at.top - tip.offsetHeight - 8;
  tip.style.top = `${above > 0 ? above : at.bottom + 8}px`;
}

function hide() {
  tip.hidden = true;
  for (const mark of document.querySelectorAll("svg.lane .at")) mark.classList.remove("at");
}

function walk(lane, key) {
  const marks = [...lane.querySelectorAll("circle, use")];
  if (!marks.length) return;
  const now = marks.findIndex((mark) => mark.classList.contains("at"));
  const last = marks.length - 1;
  const next = { ArrowLeft: now < 0 ? last : Math.max(0, now - 1), ArrowRight: now < 0 ? 0 : Math.min(last, now + 1), Home: 0, End: last };
  show(marks[next[key]]);
}

find.addEventListener("input", filter);
for (const box of boxes) box.addEventListener("change", filter);
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
for (const button of document.querySelectorAll("thead button")) button.addEventListener("click", () => sortBy(button));
body.addEventListener("pointerover", (event) => {
  const mark = event.target.closest("circle, use");
  if (mark) show(mark);
  else hide();
});
body.addEventListener("pointerleave", hide);
body.addEventListener("focusout", hide);
addEventListener("scroll", hide, { passive: true });
document.addEventListener("keydown", (event) => {
  const lane = event.target.closest?.("svg.lane");
  if (lane && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
    event.preventDefault();
    walk(lane, event.key);
  } else if (event.key === "Escape") {
    hide();
    find.value = "";
    filter();
  } else if (event.key === "/" && event.target !== find) {
    event.preventDefault();
    find.focus();
  }
});

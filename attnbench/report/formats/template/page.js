"use strict";

// Sort by the figure where a cell has one, else by its words; empty cells go last.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[table.tBodies.length - 1];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = [...body.rows].sort((one, other) =>
        compare(key(one.cells[column]), key(other.cells[column]), down ? -1 : 1));
      body.append(...order);
    });
  });
}

function key(cell) {
  const text = cell.textContent.trim();
  if (text === "–") return null;
  return cell.dataset.figure ? Number(cell.dataset.figure) : text;
}

function compare(one, other, sign) {
  if (one === null || other === null) return (one === null) - (other === null);
  if (typeof one === "number" && typeof other === "number") return sign * (one - other);
  return sign * String(one).localeCompare(String(other));
}

// Tooltips of points: the browser's own comes late, and never on a phone.
const tip = document.getElementById("tip");
let shown = null;
for (const point of document.querySelectorAll(".point")) {
  const title = point.querySelector("title");
  point.setAttribute("aria-label", title.textContent);
  point.setAttribute("role", "img");
  point.setAttribute("tabindex", "0");
  title.remove();
  for (const event of ["pointerenter", "focus", "click"]) point.addEventListener(event, () => show(point));
  for (const event of ["pointerleave", "blur"]) point.addEventListener(event, hide);
}

function show(point) {
  tip.textContent = point.getAttribute("aria-label");
  tip.hidden = false;
  const box = point.getBoundingClientRect();
  const left = box.left + box.width / 2 - tip.offsetWidth / 2;
  const above = box.top - tip.offsetHeight - 6;
  tip.style.left = `${Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${above < 4 ? box.bottom + 6 : above}px`;
  shown = point;
}

function hide() {
  tip.hidden = true;
  shown = null;
}

addEventListener("scroll", () => shown && show(shown), { passive: true });

// Print folded parts too.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});

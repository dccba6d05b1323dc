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

// Tooltips of points and headings: the browser's own comes late, and never on a phone.
const tip = document.getElementById("tip");
let shown = null;
for (const point of document.querySelectorAll(".point")) {
  const title = point.querySelector("title");
  point.setAttribute("aria-label", title.textContent);
  point.setAttribute("role", "img");
  point.setAttribute("tabindex", "0");
  title.remove();
  explain(point);
}
for (const heading of document.querySelectorAll("thead th[title]")) {
  heading.dataset.definition = heading.title;
  heading.removeAttribute("title");
  const target = heading.querySelector("button");
  if (!target) heading.setAttribute("tabindex", "0");
  (target ?? heading).setAttribute("aria-description", heading.dataset.definition);
  explain(heading, target ?? heading);
}

function explain(element, target = element) {
  for (const event of ["pointerenter", "click"]) element.addEventListener(event, () => show(element));
  target.addEventListener("focus", () => show(element));
  element.addEventListener("pointerleave", hide);
  target.addEventListener("blur", hide);
}

function show(point) {
  tip.textContent = point.dataset.definition ?? point.getAttribute("aria-label");
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

// Say where something is wider than the page.
function hint() {
  for (const wide of document.querySelectorAll(".scroll")) {
    const more = wide.previousElementSibling;
    if (more?.matches(".more")) more.hidden = wide.scrollWidth <= wide.clientWidth + 1;
  }
}
hint();
addEventListener("resize", hint);
addEventListener("toggle", hint, true);

// Copy a table as tab-separated text, or a command.
for (const button of document.querySelectorAll(".copy")) {
  const words = button.textContent;
  button.addEventListener("click", async () => {
    const text = button.dataset.of === "table"
      ? [...button.parentElement.previousElementSibling.querySelectorAll("tr")]
        .map((row) => [...row.cells].map((cell) => cell.textContent.trim()).join("\t")).join("\n")
      : button.previousElementSibling.textContent;
    button.textContent = (await copied(text)) ? "Copied" : "Not allowed here";
    setTimeout(() => { button.textContent = words; }, 1500);
  });
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.body.appendChild(document.createElement("textarea"));
    area.value = text;
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// A link to a folded list opens it.
for (const link of document.querySelectorAll('a[href^="#"]')) {
  link.addEventListener("click", () => {
    const target = document.querySelector(link.hash);
    if (target?.matches("details")) target.open = true;
  });
}

// Print folded parts too; a plot's words are for those who cannot see it.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("section > details, footer > details")) folded.open = true;
});

"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, n) => {
    const cell = row.cells[n];
    return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
  };
  heads.forEach((head, n) => {
    head.querySelector("button").addEventListener("click", () => {
      const numeric = head.classList.contains("n");
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : numeric;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => {
        const [x, y] = [value(a, n), value(b, n)];
        return numeric ? x - y : x.localeCompare(y, "en", { numeric: true });
      };
      const rows = [...table.tBodies[0].rows].sort(down ? (a, b) => order(b, a) : order);
      table.tBodies[0].append(...rows);
    });
  });
}
const filter = document.getElementById("filter");
if (filter) {
  const rows = [...document.querySelectorAll("#tasks tbody tr")];
  const texts = rows.map((row) =>
    [...row.cells].map((cell) => cell.textContent).concat(row.dataset.id).join(" ").toLowerCase());
  // a parameter is looked for by its whole name, and by its whole number: x=1 is not x=10
  const finder = (wanted) => {
    if (!/^\S+=/.test(wanted)) return (text) => text.includes(wanted);
    const escaped = wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const end = /\d$/.test(wanted) ? "(?![0-9]|[.][0-9]|e[-+]?[0-9])" : "";
    const pattern = new RegExp(`(?<![\\w.-])${escaped}${end}`);
    return (text) => pattern.test(text);
  };
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    const found = finder(wanted);
    let count = 0;
    rows.forEach((row, n) => {
      row.hidden = !found(texts[n]);
      count += row.hidden ? 0 : 1;
    });
    document.getElementById("shown").textContent = wanted ? `${count} shown` : "";
  });
}

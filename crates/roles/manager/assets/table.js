// Sorts and filters a table in the browser, where the page holds all of its rows. Without this script the same links and
// the same form ask the server. `table[data-table=NAME]` belongs to `form[data-filter=NAME]`; each row carries its text in
// `data-text` and its cells' order in `data-keys`.
(() => {
  const sortLinks = (table) => [...table.tHead.rows[0].cells].map((cell) => cell.querySelector("a.sort"));

  // Numbers by value, what is empty last, the rest as text.
  const compare = (a, b) => {
    if (a === b) return 0;
    if (a === "" || b === "") return a === "" ? 1 : -1;
    const numbers = [Number(a), Number(b)];
    return numbers.some(Number.isNaN) ? a.localeCompare(b) : numbers[0] - numbers[1];
  };

  const sort = (table, column, descending) => {
    const body = table.tBodies[0];
    const key = (row) => (row.dataset.keys || "").split("|")[column] || "";
    const rows = [...body.rows].sort((a, b) => {
      const way = compare(key(a), key(b)) * (descending ? -1 : 1);
      return way || compare(a.dataset.keys, b.dataset.keys);
    });
    body.append(...rows);
    [...table.tHead.rows[0].cells].forEach((cell, at) => {
      if (at === column) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  };

  // The page's address and what keeps it current follow what is shown.
  const remember = (table, change) => {
    const region = table.closest("[data-live]");
    for (const [target, write] of [
      [location.href, (url) => history.replaceState(null, "", url)],
      [region && region.dataset.live, (url) => (region.dataset.live = url.pathname + url.search)],
    ]) {
      if (!target) continue;
      const url = new URL(target, location.href);
      change(url.searchParams);
      for (const [name, value] of [...url.searchParams]) if (!value) url.searchParams.delete(name);
      write(url);
    }
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.sort");
    const table = link && link.closest("table[data-table]");
    if (!table || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    const column = sortLinks(table).indexOf(link);
    const cell = table.tHead.rows[0].cells[column];
    const descending = cell.getAttribute("aria-sort") === "ascending";
    sort(table, column, descending);
    const asked = new URL(link.href, location.href).searchParams;
    remember(table, (query) => {
      query.set("sort", asked.get("sort") || "");
      query.set("order", descending ? "descending" : "");
    });
  });

  // Typing narrows the rows that are there at once; what the server left out comes with the form.
  const narrow = (form) => {
    const table = document.querySelector(`table[data-table="${CSS.escape(form.dataset.filter)}"]`);
    const text = form.querySelector("input[type=search]");
    if (!table || !text) return;
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !words.every((word) => row.dataset.text.includes(word));
      if (!row.hidden) shown += 1;
    }
    const caption = table.caption;
    if (!caption) return;
    caption.dataset.all ??= caption.textContent;
    caption.textContent = words.length ? `${shown} shown, ${caption.dataset.all}` : caption.dataset.all;
  };

  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-filter]");
    if (form && event.target.type === "search") narrow(form);
  });
  document.addEventListener("weir:replaced", () => {
    for (const form of document.querySelectorAll("form[data-filter]")) narrow(form);
  });
})();

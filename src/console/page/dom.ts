/** The page's elements by id, of the type the markup gives them. */
export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return found as T;
}

/** Fills a table's body with rows of text; numbers stand right, as their heading does. */
export function fillTable(id: string, rows: (string | number)[][], empty: string): void {
  const table = element<HTMLTableElement>(id);
  const columns = table.tHead?.rows[0]?.cells.length ?? 1;
  const body = document.createElement("tbody");
  for (const row of rows) {
    const line = body.insertRow();
    for (const value of row) {
      const cell = line.insertCell();
      cell.textContent = typeof value === "number" ? value.toLocaleString("en") : value;
      cell.title = cell.textContent;
      if (typeof value === "number") cell.className = "n";
    }
  }
  if (rows.length === 0) {
    const cell = body.insertRow().insertCell();
    cell.colSpan = columns;
    cell.className = "none";
    cell.textContent = empty;
  }
  table.tBodies[0]?.replaceWith(body);
}

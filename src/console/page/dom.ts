/** The page's elements by id, of the type the markup gives them. */
export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return found as T;
}

/** Text that may lead somewhere, with a remark behind it. */
export interface Linked {
  text: string;
  href: string | undefined;
  note: string;
}

/** Fills a table's body; numbers stand right, as their heading does. */
export function fillTable(id: string, rows: (string | number | Linked)[][], empty: string): void {
  const table = element<HTMLTableElement>(id);
  const columns = table.tHead?.rows[0]?.cells ?? [];
  const body = document.createElement("tbody");
  for (const row of rows) {
    const line = body.insertRow();
    for (const [i, value] of row.entries()) {
      const cell = line.insertCell();
      cell.className = columns[i]?.className ?? "";
      if (typeof value === "object") link(cell, value);
      else cell.textContent = typeof value === "number" ? value.toLocaleString("en") : value;
      cell.title = cell.textContent;
    }
  }
  if (rows.length === 0) {
    const cell = body.insertRow().insertCell();
    cell.colSpan = columns.length;
    cell.className = "none";
    cell.textContent = empty;
  }
  // Links keep the focus of a keyboard: what has not changed stays.
  const old = table.tBodies[0];
  if (old?.innerHTML !== body.innerHTML) old?.replaceWith(body);
}

function link(cell: HTMLElement, { text, href, note }: Linked): void {
  if (href === undefined) cell.append(text);
  else {
    const anchor = document.createElement("a");
    anchor.href = href;
    anchor.textContent = text;
    cell.append(anchor);
  }
  if (note !== "") {
    const remark = document.createElement("small");
    remark.textContent = ` ${note}`;
    cell.append(remark);
  }
}

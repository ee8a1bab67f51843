// The tree in the table: open and close groups, and tell the address which are open.

import { show } from "./address.js";
import { go } from "./navigation.js";

const rows = () => [...document.querySelectorAll("tr[data-node]")];
const chevron = (row) => row.querySelector("[aria-expanded]");
const isOpen = (row) => chevron(row)?.getAttribute("aria-expanded") === "true";

/** Ids of the open groups as the address spells them. */
function openNodes() {
  const parents = rows().filter(chevron);
  return parents.filter(isOpen).map((row) => row.dataset.node).join(".") || "none";
}

function settle() {
  const open = new Map(rows().map((row) => [row.dataset.node, isOpen(row)]));
  const visible = new Map();
  for (const row of rows()) {
    const parent = row.dataset.parent;
    const shows = !parent || (visible.get(parent) && open.get(parent));
    visible.set(row.dataset.node, shows);
    row.hidden = !shows;
  }
  const url = new URL(location.href);
  url.searchParams.set("open", openNodes());
  history.replaceState(history.state, "", url);
  show(url.pathname + url.search);
}

function set(row, open) {
  chevron(row)?.setAttribute("aria-expanded", String(open));
}

export function toggle(row) {
  if (!chevron(row)) return false;
  if (row.closest("[data-lazy]")) {
    go(chevron(row).href);
    return true;
  }
  set(row, !isOpen(row));
  settle();
  return true;
}

/** Arrow keys in the table: up and down along visible rows, right opens, left closes or goes to the parent. */
export function tableKey(key, from) {
  const row = from.closest("tr[data-node]");
  if (!row) return false;
  const shown = rows().filter((other) => !other.hidden);
  const focus = (other) => other?.querySelector("[data-row-focus]")?.focus();
  if (key === "ArrowDown") focus(shown[shown.indexOf(row) + 1]);
  else if (key === "ArrowUp") focus(shown[shown.indexOf(row) - 1]);
  else if (key === "ArrowRight" && chevron(row) && !isOpen(row)) toggle(row);
  else if (key === "ArrowLeft" && chevron(row) && isOpen(row)) toggle(row);
  else if (key === "ArrowLeft" && row.dataset.parent) {
    focus(document.querySelector(`tr[data-node="${CSS.escape(row.dataset.parent)}"]`));
  } else return false;
  return true;
}

export function startTable() {
  document.addEventListener("click", (event) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const all = event.target.closest("[data-all]");
    if (all) {
      event.preventDefault();
      rows().forEach((row) => set(row, all.dataset.all === "open"));
      settle();
      return;
    }
    const row = event.target.closest("tr[data-node]");
    if (!row || String(getSelection())) return;
    const link = event.target.closest("a, button");
    if (link?.hasAttribute("data-go")) return;
    if (link && !link.hasAttribute("aria-expanded")) return;
    if (toggle(row)) event.preventDefault();
    else if (!link) row.querySelector("a[data-row-focus]")?.click();
  });
}

// The panel at the right: the same page as at its own address, fetched without its frame.

import { shownAddress } from "./address.js";

const panel = () => document.getElementById("panel");
const shade = () => document.getElementById("panel-shade");

let opener = null;
let list = null; // address of that list
let neighbours = []; // addresses of the rows of the list shown last, for the arrows
let latest = 0;

export function isPanelAddress(path) {
  return path === "/reports/inquiries/rows" || path.startsWith("/inquiries/") || path.startsWith("/events/");
}

export function panelIsOpen() {
  return !panel().hidden;
}

const hasPage = () => document.getElementById("main").dataset.page === "report";

/** Fetch `address` into the panel. */
export async function openPanel(address, { remember = true, replace = false } = {}) {
  if (!hasPage()) {
    location.assign(address);
    return;
  }
  const ticket = ++latest;
  let text;
  try {
    const answer = await fetch(address, { headers: { "Leadfold-Fragment": "panel", Accept: "text/html" } });
    text = await answer.text();
  } catch {
    location.assign(address);
    return;
  }
  if (ticket !== latest) return;
  const parsed = new DOMParser().parseFromString(text, "text/html");
  const sheet = parsed.querySelector(".sheet");
  if (!sheet) {
    location.assign(address);
    return;
  }
  if (replace) history.replaceState({}, "", address);
  else if (remember) history.pushState({}, "", address);
  panel().replaceChildren(document.adoptNode(sheet));
  panel().hidden = false;
  shade().hidden = false;
  panel().scrollTop = 0;
  const rows = [...panel().querySelectorAll("tr[data-row] a[data-row-link]")].map((link) => link.getAttribute("href"));
  if (rows.length) {
    neighbours = rows;
    list = new URL(address, location.href).href;
  }
  showMarked(panel());
  const back = panel().querySelector("[data-list]");
  if (back && list && !rows.length) {
    back.querySelector("a").href = list;
    back.hidden = false;
  }
  panel().focus({ preventScroll: true });
}

/** In a long batch: the marked item stands in view, without moving the page. */
export function showMarked(sheet) {
  const mark = sheet.querySelector("pre mark");
  if (mark) mark.parentElement.scrollTop = mark.offsetTop - mark.parentElement.offsetTop - 12;
}

export function closePanel({ remember = true } = {}) {
  latest++;
  panel().hidden = true;
  shade().hidden = true;
  panel().replaceChildren();
  if (remember) history.pushState({}, "", shownAddress());
  if (opener?.isConnected) opener.focus({ preventScroll: true });
  opener = null;
}

/** In a list: move along its rows. In a card: show the next or previous one of the list it came from. */
export function step(by) {
  const rows = [...panel().querySelectorAll("tr[data-row] a[data-row-link]")];
  if (rows.length) {
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(rows.length - 1, Math.max(0, at + by))].focus();
    return;
  }
  const at = neighbours.indexOf(location.pathname + location.search);
  const next = neighbours[at + by];
  if (at >= 0 && next) openPanel(next, { replace: true });
}

export function startPanel() {
  showMarked(document);
  document.addEventListener("click", (event) => {
    if (event.target.closest("#panel-shade, [data-close]") && panelIsOpen()) {
      event.preventDefault();
      closePanel();
      return;
    }
    const stepper = event.target.closest("[data-step]");
    if (stepper) {
      step(Number(stepper.dataset.step));
      return;
    }
    const link = event.target.closest("a[data-panel]");
    if (link) {
      if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || !hasPage()) return;
      event.preventDefault();
      if (!panelIsOpen()) opener = link;
      openPanel(link.getAttribute("href"));
      return;
    }
    // the whole row of a list is the target
    const row = event.target.closest("tr[data-row]");
    if (row && !event.target.closest("a, button, audio, input, select") && !String(getSelection())) {
      row.querySelector("a[data-row-link]").click();
    }
  });
}

// Changes of the report without a white flash: the new page is fetched and its main part put in place.

import { shownAddress, show } from "./address.js";
import { closePanel, isPanelAddress, openPanel, panelIsOpen } from "./panel.js";

const main = () => document.getElementById("main");

let latest = 0;

const REFRESH_MS = 60_000;
const LOOK_MS = 5_000; // a page without any data yet waits for the first webhook
let refreshed = Date.now();

/** Show the page at `address`; `remember` adds it to the history. Any trouble falls back to the browser's
 * own way; a `quiet` call changes nothing on trouble but says that the figures are old. */
export async function go(address, { remember = true, quiet = false } = {}) {
  const ticket = ++latest;
  const url = new URL(address, location.href);
  const waiting = setTimeout(() => quiet || main().classList.add("skeleton"), 150);
  let text;
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    text = await answer.text();
    if (answer.redirected) url.href = answer.url;
    if (quiet && !answer.ok) throw new Error(String(answer.status));
  } catch {
    if (quiet) showOffline();
    else location.assign(url);
    return;
  } finally {
    clearTimeout(waiting);
  }
  if (ticket !== latest) return;
  const page = new DOMParser().parseFromString(text, "text/html");
  const fresh = page.getElementById("main");
  if (!fresh) {
    location.assign(url);
    return;
  }
  if (remember) history.pushState({}, "", url);
  show(url.pathname + url.search);
  document.title = page.title;
  const rail = page.querySelector(".rail");
  document.querySelector(".rail").replaceWith(document.adoptNode(rail));
  const focused = document.activeElement?.getAttribute("data-focus");
  const box = main().querySelector(".table-box");
  const place = box && [box.scrollLeft, box.scrollTop];
  main().replaceWith(document.adoptNode(fresh));
  const newBox = quiet && main().querySelector(".table-box");
  if (newBox && place) [newBox.scrollLeft, newBox.scrollTop] = place;
  if (focused) document.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

function showOffline() {
  const stamp = main().querySelector(".stamp");
  if (!stamp) return;
  stamp.classList.add("late");
  stamp.textContent = stamp.dataset.offline;
}

/** The report is kept open all day: its figures follow the data, unless the reader is in the middle of something. */
function refresh() {
  const busy =
    document.visibilityState !== "visible" ||
    main().dataset.page !== "report" ||
    panelIsOpen() ||
    document.querySelector("details.menu[open], dialog[open]") ||
    String(getSelection()) ||
    main().contains(document.activeElement);
  const due = main().querySelector("[data-waiting]") ? LOOK_MS : REFRESH_MS;
  if (busy || Date.now() - refreshed < due - 100) return;
  refreshed = Date.now();
  go(shownAddress(), { remember: false, quiet: true });
}

function wanted(event, link) {
  return event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey && !link.target;
}

/** The address without the groups that happen to be open: the part that decides which page this is. */
function pageOf(address) {
  const url = new URL(address, location.href);
  url.searchParams.delete("open");
  return url.pathname + url.search;
}

export function startNavigation() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-go]");
    if (!link || !wanted(event, link)) return;
    event.preventDefault();
    const url = new URL(link.href);
    // groups opened by hand since the server wrote this link
    const open = "keepOpen" in link.dataset ? new URL(shownAddress(), location.href).searchParams.get("open") : null;
    if (open !== null) url.searchParams.set("open", open);
    go(url);
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-go]");
    if (!form) return;
    event.preventDefault();
    const url = new URL(form.action);
    url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "")).toString();
    go(url);
  });

  setInterval(refresh, LOOK_MS);

  // The address of the panel stands over the page it was opened from; Back must find that page again.
  addEventListener("popstate", () => {
    const address = location.pathname + location.search;
    if (isPanelAddress(location.pathname)) {
      openPanel(address, { remember: false });
      return;
    }
    if (panelIsOpen()) closePanel({ remember: false });
    if (pageOf(address) !== pageOf(shownAddress())) go(address, { remember: false });
  });
}

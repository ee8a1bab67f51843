// Which page is shown: the address in the browser's line is that of the panel while one lies over the page.

let shown = location.pathname + location.search;

/** The address of the page that is shown (under the panel, if one is open). */
export function shownAddress() {
  return shown;
}

/** From now on the page is the one at `address`: another page, or the same with other groups open. */
export function show(address) {
  shown = address;
}

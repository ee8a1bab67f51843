// Every action has a key. Elements say theirs with data-key; the rest is moving about.

import { closeMenus } from "./menus.js";
import { closePanel, panelIsOpen, step } from "./panel.js";
import { tableKey } from "./table.js";

const dialog = () => document.getElementById("keys");

function typing(target) {
  return target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]");
}

function onEscape() {
  if (dialog().open) dialog().close();
  else if (closeMenus()) return;
  else if (panelIsOpen()) closePanel();
}

function onArrow(event) {
  if (panelIsOpen()) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      step(event.key === "ArrowDown" ? 1 : -1);
      event.preventDefault();
    }
    return;
  }
  if (tableKey(event.key, event.target)) event.preventDefault();
}

/** Russian layout: the same physical keys. */
const LATIN = { "у": "e", "з": "p", "е": "t", "в": "d", "х": "[", "ъ": "]", "ф": "a" };

export function startKeys() {
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys]")) dialog().showModal();
    if (event.target.closest("[data-close-keys]") || event.target === dialog()) dialog().close();
    if (event.target.closest("[data-print]")) print();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      onEscape();
      return;
    }
    if (typing(event.target) || dialog().open) return;
    if (event.key.startsWith("Arrow")) {
      onArrow(event);
      return;
    }
    // on a Russian layout «.» is where «/» is only when a Russian letter cannot be confused with it
    const russian = event.code === "Slash" && event.key !== "/" && event.key !== "?";
    const key = russian ? (event.shiftKey ? "?" : "/") : (LATIN[event.key.toLowerCase()] ?? event.key);
    if (key === "?") {
      event.preventDefault();
      dialog().showModal();
      return;
    }
    const target = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!target) return;
    event.preventDefault();
    target.click();
    if (target.matches("summary")) target.parentElement.querySelector(".menu-body a, .menu-body input")?.focus();
  });
}

// Grouping levels are dragged into order; the arrows beside each do the same without a mouse.

import { go } from "./navigation.js";

export function startLevels() {
  let dragged = null;

  const over = (event) => {
    const level = event.target.closest?.(".level[draggable]");
    return dragged && level && level !== dragged ? level : null;
  };
  const clear = () => document.querySelectorAll(".level.target").forEach((level) => level.classList.remove("target"));

  document.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.(".level[draggable]") ?? null;
    if (!dragged) return;
    dragged.classList.add("dragged");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.dimension);
  });
  document.addEventListener("dragover", (event) => {
    clear();
    const level = over(event);
    if (!level) return;
    event.preventDefault();
    level.classList.add("target");
  });
  document.addEventListener("drop", (event) => {
    const level = over(event);
    if (!level) return;
    event.preventDefault();
    const box = level.closest("[data-levels]");
    const order = [...box.querySelectorAll(".level[draggable]")].map((one) => one.dataset.dimension);
    const [from, to] = [order.indexOf(dragged.dataset.dimension), order.indexOf(level.dataset.dimension)];
    order.splice(to, 0, ...order.splice(from, 1));
    const url = new URL(location.href);
    url.searchParams.set(box.dataset.levels, order.join(","));
    url.searchParams.delete("open");
    go(url);
  });
  document.addEventListener("dragend", () => {
    dragged?.classList.remove("dragged");
    dragged = null;
    clear();
  });
}

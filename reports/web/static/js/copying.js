// A button that copies what it points at and says so.

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

export function startCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = button.dataset.copy;
    const target = source === "address" ? null : document.getElementById(source);
    const done = await copy(target ? target.textContent : location.href);
    if (!done && target) {
      getSelection().selectAllChildren(target); // no clipboard here: at least selected
      return;
    }
    const word = button.querySelector(".word");
    if (!word || word.dataset.before) return;
    word.dataset.before = word.textContent;
    word.textContent = button.dataset.done;
    setTimeout(() => {
      word.textContent = word.dataset.before;
      delete word.dataset.before;
    }, 1500);
  });
}

// A recording plays in the card; where it can't, its link still opens it.

export function startPlaying() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-play]");
    if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const player = document.createElement("audio");
    player.controls = true;
    player.autoplay = true;
    player.src = link.href;
    player.addEventListener("error", () => player.replaceWith(link), { once: true });
    delete link.dataset.play; // a second click opens the provider's own page
    link.replaceWith(player);
  });
}

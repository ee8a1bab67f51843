// Menus are <details>: only one stands open, a click elsewhere closes it, and some fetch what they offer.

const opened = () => [...document.querySelectorAll("details.menu[open]")];

export function closeMenus() {
  const menus = opened();
  menus.forEach((menu) => {
    menu.open = false;
  });
  menus[0]?.querySelector("summary").focus();
  return menus.length > 0;
}

export function startMenus() {
  document.addEventListener("click", (event) => {
    opened()
      .filter((menu) => !menu.contains(event.target))
      .forEach((menu) => {
        menu.open = false;
      });
  });

  // «+ Отбор»: the values of a dimension are fetched into the menu
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-fill]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const body = link.closest(".menu-body");
    try {
      const answer = await fetch(link.href, { headers: { "Leadfold-Fragment": "panel", Accept: "text/html" } });
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      const form = parsed.querySelector("form.values");
      if (!form) throw new Error("no values");
      body.replaceChildren(document.adoptNode(form));
      body.querySelector("input")?.focus();
    } catch {
      location.assign(link.href);
    }
  });

  // search inside a list of values
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-search]")) return;
    const sought = event.target.value.trim().toLocaleLowerCase();
    event.target
      .closest("form")
      .querySelectorAll("label.choice")
      .forEach((choice) => {
        choice.hidden = !choice.textContent.toLocaleLowerCase().includes(sought);
      });
  });
}

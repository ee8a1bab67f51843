// What a person prefers on this machine: theme, density, the folded rail. Cookies, so that the server draws it at once.

const YEAR = 60 * 60 * 24 * 365;

function keep(name, value) {
  document.cookie = `lf_${name}=${value}; path=/; max-age=${YEAR}; samesite=lax`;
}

const next = (values, now) => values[(values.indexOf(now) + 1) % values.length];

function darkBySystem() {
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

export function startSettings() {
  document.addEventListener("click", (event) => {
    const language = event.target.closest("a[data-language]");
    if (language) keep("lang", language.dataset.language);
    const button = event.target.closest("[data-setting]");
    if (!button) return;
    const root = document.documentElement;
    const name = button.dataset.setting;
    if (name === "theme") {
      const dark = root.dataset.theme === "dark" || (root.dataset.theme !== "light" && darkBySystem());
      root.dataset.theme = dark ? "light" : "dark";
    } else if (name === "density") {
      root.dataset.density = next(["normal", "compact"], root.dataset.density);
    } else if (name === "rail") {
      root.dataset.rail = next(["full", "folded"], root.dataset.rail);
    }
    keep(name, root.dataset[name]);
    button.setAttribute("aria-pressed", String(["dark", "compact", "folded"].includes(root.dataset[name])));
  });
}

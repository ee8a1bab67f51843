// A page that could not be shown because the database is away opens by itself once it is back.

const LOOK_MS = 3_000;

async function ready() {
  try {
    return (await fetch("/readyz")).ok;
  } catch {
    return false; // we are away too
  }
}

export function startWaiting() {
  setInterval(async () => {
    if (document.querySelector("[data-retry]") && (await ready())) location.reload();
  }, LOOK_MS);
}

// Keeps a page true: fetches its live part when the server says that something changed, and says so when it cannot.
"use strict";

(() => {
  const STALE_AFTER_MS = 10000;
  const TICK_MS = 1000;
  const live = document.getElementById("live");
  if (!live) return;
  const root = document.documentElement;
  const banner = document.getElementById("stale");
  const since = document.getElementById("stale-since");
  const say = document.getElementById("say");
  const clock = new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: document.body.dataset.timezone || "UTC",
  });

  let heardAt = Date.now(); // the last moment at which this page was known to be true
  let engineStuckSince = root.classList.contains("stale") ? heardAt : null;
  let wanted = false; // a change was announced that this page does not show yet
  let fetching = false;
  let tag = ""; // of the part that is shown
  let notBefore = 0; // a page that is slow to make is not asked for at every change
  let soonest = 0; // nor at every incident that changed, which goes before
  let hurry = false;
  let timer = 0;
  let headline = "";

  const part = () => live.firstElementChild;

  function showAge() {
    const silentSince = Date.now() - heardAt > STALE_AFTER_MS ? heardAt : null;
    const from = engineStuckSince === null ? silentSince : Math.min(engineStuckSince, silentSince ?? Infinity);
    const stale = from !== null;
    if (stale) since.textContent = clock.format(new Date(from));
    if (banner.hidden === stale) banner.hidden = !stale;
    root.classList.toggle("stale", stale);
  }

  function tell(text) {
    if (!text || text === headline) return;
    if (headline) say.textContent = text;
    headline = text;
  }

  function swap(html) {
    const focused = document.activeElement && live.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...live.querySelectorAll("details[open][id]")].map((one) => one.id);
    const scrolled = [...live.querySelectorAll("[tabindex='0']")].map((one) => one.scrollLeft);
    live.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    live.querySelectorAll("[tabindex='0']").forEach((one, n) => { one.scrollLeft = scrolled[n] || 0; });
    if (focused) document.getElementById(focused)?.focus({preventScroll: true});
    if (part()?.dataset.title) document.title = part().dataset.title;
    tell(part()?.dataset.headline);
  }

  function refresh(news) {
    wanted = true;
    hurry = hurry || news === true;
    if (fetching) return; // asked again when that is over
    clearTimeout(timer);
    const waitMs = (hurry ? soonest : notBefore) - Date.now();
    if (waitMs > 0) timer = setTimeout(fetchPart, waitMs);
    else fetchPart();
  }

  async function fetchPart() {
    fetching = true;
    wanted = hurry = false;
    const began = Date.now();
    let failed = false;
    try {
      const answer = await fetch(live.dataset.part, {
        cache: "no-store", headers: tag ? {"If-None-Match": tag} : {}, signal: AbortSignal.timeout(8000),
      });
      if (answer.redirected || answer.status === 401) return location.reload();
      if (!answer.ok && answer.status !== 304) throw new Error(String(answer.status));
      if (answer.status !== 304) swap(await answer.text());
      tag = answer.headers.get("ETag") || "";
      heardAt = began;
    } catch {
      failed = wanted = true; // until it is there, the page ages
    } finally {
      fetching = false;
      const tookMs = Date.now() - began;
      soonest = Date.now() + (failed ? 2000 : Math.max(50, tookMs));
      notBefore = Date.now() + Math.max(failed ? 2000 : 300, 4 * tookMs);
      if (wanted) refresh();
      showAge();
    }
  }

  function beat(event) {
    const told = JSON.parse(event.data);
    const ageMs = (told.engine_tick_age_s || 0) * 1000;
    engineStuckSince = ageMs > STALE_AFTER_MS ? Date.now() - ageMs : null;
    if (wanted) refresh();
    else if (!fetching) heardAt = Date.now();
    showAge();
  }

  tell(part()?.dataset.headline);
  const source = new EventSource("/api/v1/events");
  source.addEventListener("view", (event) => refresh(JSON.parse(event.data).changed.length > 0));
  source.addEventListener("health", beat);
  setInterval(showAge, TICK_MS);
  setInterval(() => refresh(), 60000); // times of day and ages move without any event
})();

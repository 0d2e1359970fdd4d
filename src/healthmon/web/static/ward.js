// Keeps a ward's page true, and says "out of date" when it cannot. Without it the page renews itself by a meta tag.
"use strict";

(() => {
  const EVERY_MS = 25000;
  const STALE_AFTER_MS = 75000;
  const live = document.getElementById("live");
  const say = document.getElementById("say");
  let heardAt = Date.now();
  let tag = "";
  let fetching = false;
  let again = false;
  let shown = live.innerHTML;
  let headline = live.firstElementChild.dataset.headline;

  function age() {
    const stale = Date.now() - heardAt > STALE_AFTER_MS;
    if (stale) live.querySelector(".expiry")?.classList.add("now");
  }

  function swap(html) {
    const focused = document.activeElement && live.contains(document.activeElement) ? document.activeElement.id : "";
    live.innerHTML = shown = html; // anew also when it is the same: the style sheet's clock starts again
    if (focused) document.getElementById(focused)?.focus({preventScroll: true});
    const now = live.firstElementChild.dataset.headline;
    if (now !== headline) say.textContent = headline = now;
  }

  async function renew() {
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(live.dataset.part, {cache: "no-store", headers: tag ? {"If-None-Match": tag} : {}, signal: AbortSignal.timeout(10000)});
      if (answer.redirected || answer.status === 401) return location.reload();
      if (!answer.ok && answer.status !== 304) throw new Error(String(answer.status));
      swap(answer.status === 304 ? shown : await answer.text());
      tag = answer.headers.get("ETag") || "";
      heardAt = Date.now();
    } catch {
      age();
    } finally {
      fetching = false;
      if (again) { again = false; setTimeout(renew, 500); }
    }
  }

  const source = new EventSource(live.dataset.events);
  source.addEventListener("view", renew);
  setInterval(renew, EVERY_MS);
  setInterval(age, 1000);
})();

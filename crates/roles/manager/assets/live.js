// Keeps pages current. An element with `data-live="URL"` and `data-topics="devices alarms"` is fetched again when one of
// its topics changes. When this manager is the standby now, the bar says where the pages are, and a page with an element
// `data-follow` goes there. If the element has an id and the answer holds an element of that id, its content is taken from
// there, so that URL may be the page itself. What holds the focus, a selection, a pressed button or a form somebody fills in
// is left alone. A lost connection is opened anew for as long as the page is open; a page of another version than its
// manager's is loaded again.
(() => {
  const FIRST_RETRY_MS = 1000;
  const RETRY_MAX_MS = 10000;
  const SAY_LOST_AFTER_MS = 1500;
  const bar = document.getElementById("connection");
  const regions = [...document.querySelectorAll("[data-live]")];
  let source = null;
  let retryMs = FIRST_RETRY_MS;
  let retryTimer = 0;
  let lostTimer = 0;
  let ended = false;
  let pressed = null;

  const say = (text) => {
    if (!bar) return;
    bar.hidden = !text;
    bar.textContent = text;
  };

  const filledIn = (form) =>
    [...form.elements].some((field) => {
      if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
      if (field.tagName === "SELECT") {
        const chosen = [...field.options];
        return chosen.some((o) => o.defaultSelected) && chosen.some((o) => o.selected !== o.defaultSelected);
      }
      return "defaultValue" in field && field.type !== "hidden" && field.value !== field.defaultValue;
    });

  const inUse = (region) => {
    if (pressed && region.contains(pressed)) return true;
    const active = document.activeElement;
    if (active && region.contains(active) && (active.closest("form") || active.isContentEditable)) return true;
    if ([...region.querySelectorAll("form")].some(filledIn)) return true;
    if (region.querySelector("details[open] form, dialog[open]")) return true;
    const selection = getSelection();
    return selection && !selection.isCollapsed && region.contains(selection.anchorNode);
  };

  // What the person has opened, scrolled to and focused, to be found again in new content.
  const remember = (region) => {
    const key = (d) => d.id || d.querySelector("summary")?.textContent.trim();
    const open = new Set([...region.querySelectorAll("details[open]")].map(key));
    const scrolled = [...region.querySelectorAll(".scroll, pre, .tabs")].map((e) => [e.scrollLeft, e.scrollTop]);
    const active = region.contains(document.activeElement) ? document.activeElement : null;
    const focused = active && (active.id ? `#${CSS.escape(active.id)}` : active.getAttribute("href") && `a[href="${CSS.escape(active.getAttribute("href"))}"]`);
    return () => {
      for (const details of region.querySelectorAll("details")) if (open.has(key(details))) details.open = true;
      [...region.querySelectorAll(".scroll, pre, .tabs")].forEach((e, at) => {
        if (scrolled[at]) [e.scrollLeft, e.scrollTop] = scrolled[at];
      });
      if (focused) region.querySelector(focused)?.focus({ preventScroll: true });
    };
  };

  const localTimes = (within) => {
    for (const time of within.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!time.title && !Number.isNaN(at.valueOf())) time.title = at.toLocaleString();
    }
  };

  const replace = (region, text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    const { version } = page.documentElement.dataset;
    if (version && version !== document.documentElement.dataset.version && !regions.some(inUse)) return location.replace(region.dataset.live);
    const from = (region.id && page.getElementById(region.id)) || page.body;
    if (region.innerHTML === from.innerHTML) return;
    const restore = remember(region);
    region.replaceChildren(...document.importNode(from, true).childNodes);
    restore();
    localTimes(region);
    region.dispatchEvent(new CustomEvent("weir:replaced", { bubbles: true }));
  };

  const refresh = async (region) => {
    if (region.fetching) {
      region.again = true;
      return;
    }
    if (inUse(region)) {
      region.stale = true;
      return;
    }
    region.fetching = true;
    region.stale = false;
    try {
      const answer = await fetch(region.dataset.live, { headers: { "X-Weir-Fragment": "1" }, credentials: "same-origin" });
      if (answer.status === 401) return signedOut();
      if (answer.status === 421) return moved(answer.headers.get("Weir-Primary"));
      if (answer.ok) {
        const text = await answer.text();
        if (inUse(region)) region.stale = true;
        else replace(region, text);
      }
    } catch {
      // The event stream notices a lost connection and says so.
    } finally {
      region.fetching = false;
      if (region.again) {
        region.again = false;
        refresh(region);
      }
    }
  };

  const changed = (topics) => {
    for (const region of regions) {
      const wanted = (region.dataset.topics || "").split(/\s+/);
      if (topics === null || topics.some((topic) => wanted.includes(topic))) refresh(region);
    }
  };

  const signedOut = () => {
    ended = true;
    close();
    const next = encodeURIComponent(location.pathname + location.search);
    say("Signed out.");
    if (!bar) return;
    const link = document.createElement("a");
    link.href = `/login?next=${next}`;
    link.textContent = "Sign in again";
    bar.append(" ", link);
  };

  // This manager is the standby now: the pages are on the other one, at the same path. A page that waits for that goes there.
  const moved = (primary) => {
    if (!primary || !primary.startsWith("https://")) return;
    close();
    const there = primary + location.pathname;
    if (document.querySelector("[data-follow]")) {
      ended = true;
      location.assign(there);
      return;
    }
    // In the middle of an update it may be the primary again in a moment.
    retryTimer = setTimeout(open, RETRY_MAX_MS);
    say("This manager is the standby now.");
    if (!bar) return;
    const link = document.createElement("a");
    link.href = there + location.search;
    link.textContent = "Go to the primary";
    bar.append(" ", link);
  };

  const close = () => {
    clearTimeout(retryTimer);
    clearTimeout(lostTimer);
    lostTimer = 0;
    if (source) source.close();
    source = null;
  };

  // An event source does not say why it was refused: asked again, the answer does.
  const refused = async () => {
    const stop = new AbortController();
    try {
      const answer = await fetch("/events", { headers: { "X-Weir-Fragment": "1" }, credentials: "same-origin", signal: stop.signal });
      if (answer.status === 401) return signedOut();
      if (answer.status === 421) return moved(answer.headers.get("Weir-Primary"));
      if (answer.status !== 503) return;
      if (answer.headers.has("Weir-State")) {
        clearTimeout(lostTimer);
        lostTimer = 0;
        return say("This manager is disabled: load the page again to see why.");
      }
      clearTimeout(lostTimer);
      lostTimer = 0;
      say("Too many pages are open: this one is not kept current until another is closed.");
    } catch {
      // The connection is lost after all.
    } finally {
      stop.abort();
    }
  };

  const lost = () => {
    const answered = source && source.readyState === EventSource.CLOSED;
    if (source) source.close();
    source = null;
    if (answered) refused();
    if (!lostTimer) lostTimer = setTimeout(() => say("Connection lost, reconnecting…"), SAY_LOST_AFTER_MS);
    retryTimer = setTimeout(open, retryMs * (0.75 + Math.random() / 2));
    retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
  };

  let opened = false;
  const open = () => {
    if (source || ended || document.hidden) return;
    source = new EventSource("/events");
    source.addEventListener("open", () => {
      clearTimeout(lostTimer);
      lostTimer = 0;
      retryMs = FIRST_RETRY_MS;
      say("");
      if (opened) changed(null);
      opened = true;
    });
    source.addEventListener("changed", (event) => changed(JSON.parse(event.data)));
    source.addEventListener("end", signedOut);
    source.addEventListener("error", lost);
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    retryMs = FIRST_RETRY_MS;
    open();
  });
  const catchUp = () => regions.filter((region) => region.stale).forEach(refresh);
  document.addEventListener("focusout", () => setTimeout(catchUp, 0));
  // What is replaced between press and release is never clicked.
  document.addEventListener("pointerdown", (event) => { pressed = event.target; }, true);
  const released = () =>
    setTimeout(() => {
      pressed = null;
      catchUp();
    }, 0);
  for (const end of ["pointerup", "pointercancel", "dragend"]) document.addEventListener(end, released, true);
  document.addEventListener("DOMContentLoaded", () => localTimes(document));
  localTimes(document);
  if (regions.length) open();
})();

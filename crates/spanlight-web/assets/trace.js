// The waterfall: rows are fetched as they scroll into view, folding and the span panel happen in place, and the
// address always says what is on show. Without it the page works by links.
(() => {
  "use strict";
  const ROW = 26;
  const STEP = 100; // windows begin at multiples of this, so that scrolling back finds them in the cache
  const WINDOW = 300;
  const HEIGHT_MAX = 12e6; // browsers lose elements that are much taller; beyond it scrolling is scaled
  const CACHE_MAX = 24;

  const rows = document.getElementById("rows");
  if (!rows) return;
  const spacer = document.getElementById("rows-spacer");
  const panel = document.getElementById("panel");
  const body = rows.closest(".trace-body");
  const base = `/trace/${rows.dataset.trace}`;
  let win = document.getElementById("rows-window");
  let total = Number(win.dataset.total);
  let active = -1; // number of the active row among the visible ones
  let fetching = null;
  const cache = new Map();

  // ---- the address
  const params = () => new URLSearchParams(location.search);
  function hrefWith(change) {
    const next = params();
    next.delete("offset");
    next.delete("limit");
    change(next);
    const text = next.toString();
    return location.pathname + (text ? `?${text}` : "");
  }
  function rowsQuery(offset, limit) {
    const query = params();
    query.set("offset", offset);
    query.set("limit", limit);
    return query.toString();
  }

  // ---- the window of rows
  const offset = () => Number(win.dataset.offset);
  const count = () => Number(win.dataset.count);
  const viewRows = () => Math.max(1, Math.ceil(rows.clientHeight / ROW));
  const fullHeight = () => total * ROW;
  const scaled = () => fullHeight() > HEIGHT_MAX;

  function firstVisible() {
    if (!scaled()) return rows.scrollTop / ROW;
    const range = HEIGHT_MAX - rows.clientHeight;
    return (rows.scrollTop / Math.max(1, range)) * Math.max(0, total - viewRows() + 1);
  }
  function scrollTo(first) {
    const row = Math.max(0, Math.min(first, total - 1));
    rows.scrollTop = scaled()
      ? (row / Math.max(1, total - viewRows() + 1)) * (HEIGHT_MAX - rows.clientHeight)
      : row * ROW;
  }
  function place() {
    spacer.style.height = `${Math.min(fullHeight(), HEIGHT_MAX)}px`;
    const top = scaled() ? rows.scrollTop - (firstVisible() - offset()) * ROW : offset() * ROW;
    win.style.top = `${top}px`;
  }
  async function fetchRows(from, limit, signal) {
    const query = rowsQuery(from, limit);
    if (cache.has(query)) return cache.get(query);
    const response = await fetch(`${base}/rows?${query}`, { signal });
    if (!response.ok) throw new Error(`rows: ${response.status}`);
    const text = await response.text();
    cache.set(query, text);
    if (cache.size > CACHE_MAX) cache.delete(cache.keys().next().value);
    return text;
  }
  function show(text) {
    const holder = document.createElement("template");
    holder.innerHTML = text;
    const next = holder.content.firstElementChild;
    win.replaceWith(next);
    win = next;
    total = Number(win.dataset.total);
    place();
    mark();
  }
  async function load(from) {
    fetching?.abort();
    fetching = new AbortController();
    try {
      show(await fetchRows(from, WINDOW, fetching.signal));
      return true;
    } catch (error) {
      if (error.name !== "AbortError") rows.dataset.failed = String(error);
      return false;
    }
  }
  const windowFor = (first) => Math.max(0, Math.floor((first - 90) / STEP) * STEP);
  let wanted = -1;
  async function update() {
    place();
    const first = Math.floor(firstVisible());
    const last = Math.min(total, first + viewRows() + 1);
    if (first >= offset() && last <= offset() + count()) return;
    const from = windowFor(first);
    if (from === wanted) return;
    wanted = from;
    await load(from);
    wanted = -1;
  }
  let framed = false;
  rows.addEventListener("scroll", () => {
    if (framed) return;
    framed = true;
    requestAnimationFrame(() => {
      framed = false;
      update();
    });
  });
  addEventListener("resize", update);

  // ---- the active row, the selected one
  const rowAt = (number) => win.children[number - offset()];
  const numberOf = (element) => offset() + [...win.children].indexOf(element);
  const bySpan = (id) => win.querySelector(`.row[data-span="${id}"]`);
  function mark() {
    const selected = params().get("span");
    for (const element of win.children) {
      element.setAttribute("aria-selected", element.dataset.span === selected);
      element.classList.remove("is-active");
    }
    const element = rowAt(active);
    if (element) {
      element.classList.add("is-active");
      element.id = `row-${element.dataset.span}`;
      rows.setAttribute("aria-activedescendant", element.id);
    } else {
      rows.removeAttribute("aria-activedescendant");
    }
  }
  async function activate(number) {
    if (!total) return;
    active = Math.max(0, Math.min(total - 1, number));
    const first = firstVisible();
    const fits = Math.max(1, Math.floor(rows.clientHeight / ROW));
    if (active < first || active > first + fits - 1) {
      scrollTo(active < first ? active : active - fits + 1);
      await update();
    }
    if (!rowAt(active)) await load(windowFor(active));
    mark();
    if (!panel.hidden) followSoon();
  }
  // The first step is taken from what is in view.
  const step = (by) => activate(active < 0 ? Math.ceil(firstVisible()) : active + by);
  let following = 0;
  function followSoon() {
    clearTimeout(following);
    following = setTimeout(() => {
      const element = rowAt(active);
      if (element) open(element.dataset.span, true);
    }, 110);
  }

  // ---- the panel
  let opening = null;
  async function open(span, replace = false) {
    opening?.abort();
    opening = new AbortController();
    const href = hrefWith((next) => next.set("span", span));
    if (href !== location.pathname + location.search) {
      history[replace ? "replaceState" : "pushState"](null, "", href);
    }
    mark();
    try {
      const response = await fetch(`${base}/span/${span}${location.search}`, { signal: opening.signal });
      if (!response.ok) throw new Error(`span: ${response.status}`);
      panel.innerHTML = await response.text();
    } catch (error) {
      if (error.name === "AbortError") return;
      panel.textContent = "This span could not be loaded. Reload the page to try again.";
    }
    panel.scrollTop = 0;
    if (panel.hidden) {
      panel.hidden = false;
      body.classList.add("has-panel");
      update();
    }
  }
  function hidePanel() {
    panel.hidden = true;
    body.classList.remove("has-panel");
    mark();
    update();
  }
  function close() {
    if (panel.hidden) return false;
    history.pushState(null, "", hrefWith((next) => next.delete("span")));
    hidePanel();
    return true;
  }

  // ---- folding
  async function toggle(span) {
    const href = hrefWith((next) => {
      const ids = new Set((next.get("toggle") ?? "").split(",").filter(Boolean));
      if (!ids.delete(span)) ids.add(span);
      if (ids.size) next.set("toggle", [...ids].join(","));
      else next.delete("toggle");
    });
    history.replaceState(null, "", href);
    cache.clear();
    const number = active;
    await load(windowFor(Math.floor(firstVisible())));
    active = Math.min(number, total - 1);
    mark();
    update();
  }

  // ---- the mouse
  const plain = (event) => event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  rows.addEventListener("click", (event) => {
    if (!plain(event)) return;
    const element = event.target.closest(".row");
    if (!element) return;
    event.preventDefault();
    active = numberOf(element);
    const fold = event.target.closest("[data-toggle]");
    if (fold) toggle(fold.dataset.toggle);
    else open(element.dataset.span);
    rows.focus({ preventScroll: true });
  });
  panel.addEventListener("click", (event) => {
    if (!plain(event)) return;
    if (event.target.closest("[data-panel-close]")) {
      event.preventDefault();
      close();
      return;
    }
    const link = event.target.closest("a[data-span]");
    const element = link && bySpan(link.dataset.span);
    if (!link) return;
    event.preventDefault();
    if (element) {
      activate(numberOf(element));
      open(link.dataset.span);
    } else {
      // The server finds the window with the span.
      location.assign(hrefWith((next) => next.set("span", link.dataset.span)));
    }
  });
  addEventListener("popstate", () => {
    const span = params().get("span");
    if (span) open(span, true);
    else hidePanel();
  });

  // ---- zooming
  const minimap = document.getElementById("minimap");
  const brush = document.getElementById("minimap-brush");
  function zoom(from, to) {
    location.assign(hrefWith((next) => {
      next.delete("from");
      next.delete("to");
      if (to > from) {
        next.set("from", String(Math.max(0, Math.round(from))));
        next.set("to", String(Math.round(to)));
      }
    }));
  }
  let dragFrom = null;
  const at = (event) => {
    const box = minimap.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  minimap?.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragFrom = at(event);
    minimap.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  minimap?.addEventListener("pointermove", (event) => {
    if (dragFrom === null) return;
    const to = at(event);
    brush.setAttribute("x", `${Math.min(dragFrom, to) * 100}%`);
    brush.setAttribute("width", `${Math.abs(to - dragFrom) * 100}%`);
  });
  minimap?.addEventListener("pointerup", (event) => {
    if (dragFrom === null) return;
    const [from, to] = [dragFrom, at(event)].sort((a, b) => a - b);
    const length = Number(minimap.dataset.duration);
    dragFrom = null;
    brush.setAttribute("width", "0");
    if ((to - from) * minimap.clientWidth > 5) zoom(from * length, to * length);
  });
  minimap?.addEventListener("pointercancel", () => {
    dragFrom = null;
    brush.setAttribute("width", "0");
  });

  // ---- the keys
  async function nextError(direction) {
    const doc = document.createElement("template");
    let number = (active < 0 ? Math.ceil(firstVisible()) - 1 : active) + direction;
    // Beyond the window, larger ones are looked through, one after the other.
    for (let tries = 0; tries < 200 && number >= 0 && number < total; tries += 1) {
      let list = win.children;
      let from = offset();
      if (number < from || number >= from + count()) {
        from = direction > 0 ? number : Math.max(0, number - 1999);
        doc.innerHTML = await fetchRows(from, 2000);
        list = doc.content.firstElementChild.children;
      }
      for (; number >= from && number < from + list.length; number += direction) {
        if (list[number - from].hasAttribute("data-error")) return activate(number);
      }
    }
    return undefined;
  }
  function left(element) {
    if (element?.getAttribute("aria-expanded") === "true") return toggle(element.dataset.span);
    const level = Number(element?.getAttribute("aria-level"));
    for (let number = active - 1; number >= offset(); number -= 1) {
      if (Number(rowAt(number)?.getAttribute("aria-level")) < level) return activate(number);
    }
    return undefined;
  }
  function right(element) {
    return element?.getAttribute("aria-expanded") === "false" ? toggle(element.dataset.span) : activate(active + 1);
  }
  function zoomToActive(element) {
    if (params().has("from")) return zoom(0, 0);
    if (!element) return undefined;
    const start = Number(element.dataset.start);
    const length = Math.max(1, Number(element.dataset.length));
    return zoom(start - length * 0.03, start + length * 1.03);
  }
  const keys = {
    j: () => step(1),
    ArrowDown: () => step(1),
    k: () => step(-1),
    ArrowUp: () => step(-1),
    PageDown: () => step(viewRows() - 2),
    PageUp: () => step(2 - viewRows()),
    Home: () => activate(0),
    End: () => activate(total - 1),
    ArrowLeft: left,
    ArrowRight: right,
    Enter: (element) => element && open(element.dataset.span),
    e: () => nextError(1),
    E: () => nextError(-1),
    z: zoomToActive,
    "[": () => document.getElementById("fold-less")?.click(),
    "]": () => document.getElementById("fold-more")?.click(),
  };
  window.spanlight?.handlers.push((event) => {
    if (event.key === "Escape") return close();
    // Enter on a link or a button is the link's or the button's; keys in the panel scroll it.
    const own = event.target.closest?.("a, button, summary");
    if (event.key === "Enter" && own && !rows.contains(own)) return false;
    if (panel.contains(event.target) && event.key !== "j" && event.key !== "k") return false;
    const act = keys[event.key];
    if (!act) return false;
    act(rowAt(active));
    return true;
  });

  // ---- the beginning: what the address says is in view
  place();
  const selected = params().get("span") && bySpan(params().get("span"));
  if (selected) {
    active = numberOf(selected);
    if (active >= viewRows() - 2) scrollTo(active - Math.floor(viewRows() / 2));
  } else if (offset() > 0) {
    scrollTo(offset());
  }
  update();
  mark();
})();

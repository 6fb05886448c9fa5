// What every page shares: theme, keys, copying, times. Pages work without it; it makes them quicker to use.
(() => {
  "use strict";
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Theme: light, dark, then as the system has it.
  function nextTheme() {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const other = system === "dark" ? "light" : "dark";
    const next = root.dataset.theme === other ? null : other;
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    try {
      if (next) localStorage.setItem("theme", next);
      else localStorage.removeItem("theme");
    } catch {
      // Then the choice lasts as long as the page.
    }
  }
  $("#theme-toggle")?.addEventListener("click", nextTheme);

  // Overview of the keys.
  const help = $("#help");
  $("#help-open")?.addEventListener("click", () => help.showModal());
  help?.addEventListener("click", (event) => {
    if (event.target === help) help.close();
  });

  // Copying.
  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without a secure origin there is no clipboard to write to; the old way still works.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.classList.add("is-done");
    setTimeout(() => button.classList.remove("is-done"), 1200);
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    copy(button);
  });

  // Times: local ones for people here, and relative ones that keep up.
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  function relative(milliseconds) {
    const seconds = Math.floor(Math.abs(milliseconds) / 1000);
    if (seconds < 1) return "just now";
    const [count, unit] =
      seconds < 60 ? [seconds, "s"]
      : seconds < 3600 ? [seconds / 60, "min"]
      : seconds < 86400 ? [seconds / 3600, "h"]
      : seconds < 31536000 ? [seconds / 86400, "d"]
      : [seconds / 31536000, "y"];
    const text = `${Math.floor(count)} ${unit}`;
    return milliseconds >= 0 ? `${text} ago` : `in ${text}`;
  }
  function localTimes() {
    for (const time of $$("time[data-relative], time[data-local]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      if (!time.dataset.utc) {
        time.dataset.utc = time.title || time.textContent.trim();
        time.title = `${local.format(at)} (local)\n${time.dataset.utc}`;
      }
      if ("relative" in time.dataset) time.textContent = relative(Date.now() - at.getTime());
    }
  }
  function localAxis() {
    for (const label of $$("[data-axis-time]")) {
      const at = new Date(label.dataset.axisTime);
      const span = Number(label.dataset.axisSpan);
      const options =
        span >= 172800000 ? { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" }
        : span >= 600000 ? { hour: "2-digit", minute: "2-digit" }
        : { hour: "2-digit", minute: "2-digit", second: "2-digit" };
      if (span < 5000) options.fractionalSecondDigits = 3;
      label.textContent = new Intl.DateTimeFormat(undefined, { ...options, hourCycle: "h23" }).format(at);
    }
  }
  function localColumns() {
    for (const title of $$("title[data-from]")) {
      const [from, to] = [new Date(title.dataset.from), new Date(title.dataset.to)];
      const [, ...lines] = title.textContent.split("\n");
      title.textContent = [`${local.format(from)} – ${local.format(to)}`, ...lines].join("\n");
    }
  }
  localTimes();
  localAxis();
  localColumns();
  setInterval(localTimes, 15000);

  // The query box: Enter searches, Shift+Enter breaks the line; a range takes what is in the box along.
  const query = $("#query");
  query?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      query.form.requestSubmit();
    }
  });
  query?.form.addEventListener("submit", () => {
    // Defaults stay out of the address.
    for (const field of query.form.elements) {
      const preset = { start: "now-1h", end: "", limit: "50", q: "" }[field.name];
      if (field.name && (field.value === preset || field.value === "")) field.disabled = true;
    }
  });
  addEventListener("pageshow", () => {
    for (const field of query?.form.elements ?? []) field.disabled = false;
  });
  for (const range of $$("[data-range]")) {
    range.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      $("#start").value = range.dataset.range;
      $("#end").value = "";
      query.form.requestSubmit();
    });
  }

  // Rows of results.
  const results = $$("#results > .result");
  let active = -1;
  function activate(next) {
    if (!results.length) return;
    results[active]?.classList.remove("is-active");
    active = Math.max(0, Math.min(results.length - 1, next));
    const row = results[active];
    row.classList.add("is-active");
    row.scrollIntoView({ block: "nearest" });
    const link = $(".result-link", row);
    link.focus({ preventScroll: true });
    for (const dot of $$(".dot")) dot.classList.toggle("is-active", dot.href.baseVal === link.getAttribute("href"));
  }
  for (const [index, row] of results.entries()) {
    const href = $(".result-link", row).getAttribute("href");
    const dot = $$(".dot").find((dot) => dot.href.baseVal === href);
    row.addEventListener("mouseenter", () => dot?.classList.add("is-active"));
    row.addEventListener("mouseleave", () => index !== active && dot?.classList.remove("is-active"));
  }

  const typing = (element) => element?.matches?.("input, textarea, select, [contenteditable]");
  // Pages add their own keys; the first that handles a key has it.
  const handlers = [];
  window.spanlight = { handlers, typing };
  handlers.push((event) => {
    if (!results.length) return false;
    if (event.key === "j" || event.key === "ArrowDown") activate(active + 1);
    else if (event.key === "k" || event.key === "ArrowUp") activate(active - 1);
    else if (event.key === "o") $(".result-link", results[active])?.click();
    else return false;
    return true;
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (help?.open) return;
    if (event.key === "/") $("[data-focus-key]")?.focus();
    else if (event.key === "?") help?.showModal();
    else if (event.key === "t") nextTheme();
    else if (!handlers.some((handle) => handle(event))) return;
    event.preventDefault();
  });
})();

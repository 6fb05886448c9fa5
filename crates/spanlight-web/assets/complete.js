// The query box while one types: suggestions from the server, and what is wrong so far, marked.
// Tab takes the first suggestion, arrows choose, Enter takes the chosen one or searches, Escape closes.
(() => {
  "use strict";
  const query = document.getElementById("query");
  if (!query) return;
  const box = query.closest(".query-box");
  const PAUSE_MS = 120;
  const PROBLEM_PAUSE_MS = 600;
  const SHOWN_MAX = 50;

  function element(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }
  const list = element("ul", "completions");
  list.id = "completions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Suggestions");
  list.hidden = true;
  box.append(list);
  const live = element("section", "problem problem-live");
  live.setAttribute("aria-live", "polite");
  live.hidden = true;
  query.form.after(live);
  query.setAttribute("aria-autocomplete", "list");
  query.setAttribute("aria-controls", "completions");

  // The server counts bytes, the box UTF-16 units.
  const bytes = (text) => new TextEncoder().encode(text);
  const byteOffset = (text, units) => bytes(text.slice(0, units)).length;
  const unitOffset = (text, offset) => new TextDecoder().decode(bytes(text).slice(0, offset)).length;

  let suggestions = [];
  let replace = { start: 0, end: 0 };
  let active = -1;
  let asking = null;
  let timer = 0;
  let problemTimer = 0;

  function close() {
    list.hidden = true;
    suggestions = [];
    active = -1;
    query.removeAttribute("aria-activedescendant");
  }

  function activate(next) {
    list.children[active]?.setAttribute("aria-selected", "false");
    active = (next + suggestions.length) % suggestions.length;
    const option = list.children[active];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    query.setAttribute("aria-activedescendant", option.id);
  }

  function show() {
    list.replaceChildren(...suggestions.map((suggestion, index) => {
      const option = element("li", `completion completion-${suggestion.kind}`);
      option.id = `completion-${index}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.append(element("code", "", suggestion.text), element("span", "completion-detail", suggestion.detail));
      if (suggestion.count !== undefined) {
        option.append(element("span", "completion-count", suggestion.count.toLocaleString()));
      }
      option.addEventListener("mousedown", (event) => {
        event.preventDefault();
        take(index);
      });
      return option;
    }));
    list.hidden = suggestions.length === 0;
    list.scrollTop = 0;
    active = -1;
    query.removeAttribute("aria-activedescendant");
  }

  function take(index) {
    const { text, kind } = suggestions[index];
    // A field or an operator is not the end of it.
    const more = kind === "value" || text.endsWith("(") || text.endsWith(" ") ? "" : " ";
    query.setSelectionRange(replace.start, replace.end);
    // Keeps the browser's undo, which setting the value does not.
    if (!document.execCommand("insertText", false, text + more)) query.setRangeText(text + more, replace.start, replace.end, "end");
    close();
    later();
  }

  function mark(text, problem) {
    live.hidden = true;
    const position = problem?.position;
    // What is missing at the end is still being typed.
    if (!position || position.start >= bytes(text.trimEnd()).length) return;
    const [start, end] = [unitOffset(text, position.start), unitOffset(text, position.end)];
    const excerpt = element("pre", "problem-text");
    excerpt.append(text.slice(0, start), element("mark", "", text.slice(start, end) || "␣"), text.slice(end));
    const parts = [excerpt, element("p", "problem-message", problem.message)];
    if (problem.expected?.length) parts.push(element("p", "problem-expected", `Expected ${problem.expected.join(", ")}`));
    if (problem.hint) parts.push(element("p", "problem-hint", problem.hint));
    live.replaceChildren(...parts);
    live.hidden = false;
  }

  async function ask() {
    asking?.abort();
    asking = new AbortController();
    const text = query.value;
    const parameters = new URLSearchParams({ q: text, cursor: byteOffset(text, query.selectionStart), limit: SHOWN_MAX });
    for (const name of ["start", "end"]) {
      const value = query.form.elements[name]?.value;
      if (value) parameters.set(name, value);
    }
    let answer;
    try {
      const response = await fetch(`/api/v1/query/complete?${parameters}`, { signal: asking.signal });
      if (!response.ok) return close();
      answer = await response.json();
    } catch {
      // The next letter asks again.
      return;
    }
    if (text !== query.value || document.activeElement !== query) return;
    replace = { start: unitOffset(text, answer.replace.start), end: unitOffset(text, answer.replace.end) };
    const typed = text.slice(replace.start, replace.end);
    suggestions = answer.suggestions.filter((suggestion) => suggestion.text !== typed);
    show();
    clearTimeout(problemTimer);
    problemTimer = setTimeout(() => mark(text, answer.error), PROBLEM_PAUSE_MS);
  }

  function later() {
    clearTimeout(timer);
    clearTimeout(problemTimer);
    timer = setTimeout(ask, PAUSE_MS);
  }

  query.addEventListener("input", () => {
    document.getElementById("problem")?.remove();
    live.hidden = true;
    later();
  });
  query.addEventListener("blur", close);
  query.form.addEventListener("submit", close);
  // Before the other keys of the page.
  box.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === " " && event.ctrlKey) ask();
    else if (list.hidden) return;
    else if (event.key === "ArrowDown") activate(active + 1);
    else if (event.key === "ArrowUp") activate(active < 0 ? -1 : active - 1);
    else if (event.key === "Escape") close();
    else if (event.key === "Tab" && !event.shiftKey) take(Math.max(active, 0));
    else if (event.key === "Enter" && !event.shiftKey && active >= 0) take(active);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
})();

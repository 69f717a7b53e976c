"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const pairs = Array.from(document.querySelectorAll(".pair"));
  const caption = document.querySelector(".caption");
  const live = document.querySelector(".live");
  const body = document.body;
  const places = new WeakMap();

  body.classList.add("scripted");
  document.querySelector(".tools").hidden = false;

  // Words are looked up when their sentence is first touched: a long article costs nothing at the start.
  const known = new WeakMap();
  function wordsOf(pair) {
    let words = known.get(pair);
    if (!words) {
      words = { source: [], target: [] };
      for (const side of ["source", "target"]) {
        pair.querySelectorAll("." + side + " .w").forEach((element, at) => {
          element.tabIndex = -1;
          words[side].push(element);
          places.set(element, { pair, side, at });
        });
      }
      known.set(pair, words);
    }
    return words;
  }
  function placeOf(element) {
    const word = element instanceof Element ? element.closest(".w") : null;
    if (!word) return null;
    const pair = word.closest(".pair");
    wordsOf(pair);
    return Object.assign({ word }, places.get(word));
  }
  const numberOf = (pair) => pairs.indexOf(pair);
  const other = (side) => (side === "source" ? "target" : "source");

  // The partners of a word, strongest first: soft ones where the page has them, with the links marked as hard.
  function partnersOf({ pair, side, at }) {
    const { links, soft } = data[numberOf(pair)];
    const mine = side === "source" ? 0 : 1;
    const found = new Map();
    const take = (list, hard) => {
      for (let i = 0; i < list.length; i += 3) {
        if (list[i + mine] !== at) continue;
        const partner = list[i + 1 - mine];
        const share = list[i + 2];
        if (hard || share >= 5) found.set(partner, { at: partner, share, hard });
      }
    };
    if (soft) take(soft, false);
    take(links, true);
    return [...found.values()].sort((left, right) => right.share - left.share || left.at - right.at);
  }

  let lit = [];
  function clear() {
    for (const element of lit) {
      element.classList.remove("lit", "hard", "held", "named");
      element.style.removeProperty("--p");
    }
    lit = [];
    caption.hidden = true;
  }
  function bdi(text, side) {
    const element = document.createElement("bdi");
    element.lang = side === "source" ? "ar" : "en";
    element.textContent = text;
    return element;
  }
  function light(place) {
    clear();
    if (!place) return;
    const words = wordsOf(place.pair);
    const partners = partnersOf(place);
    place.word.classList.add("held");
    lit.push(place.word);
    for (const partner of partners) {
      const element = words[other(place.side)][partner.at];
      if (!element) continue;
      element.classList.add("lit");
      if (partner.hard) element.classList.add("hard");
      element.style.setProperty("--p", partner.share);
      lit.push(element);
    }
    const parts = [bdi(place.word.textContent, place.side), " — "];
    const shown = partners.filter((partner) => words[other(place.side)][partner.at]).slice(0, 5);
    shown.forEach((partner, i) => {
      const share = document.createElement("span");
      share.className = "share";
      share.textContent = " " + partner.share + " %";
      parts.push(i ? ", " : "", bdi(words[other(place.side)][partner.at].textContent, other(place.side)), share);
    });
    if (!shown.length) parts.push("no partner");
    const nulls = place.side === "target" ? data[numberOf(place.pair)].null[place.at] : undefined;
    if (nulls >= 10) {
      const share = document.createElement("span");
      share.className = "share";
      share.textContent = " · from no word " + nulls + " %";
      parts.push(share);
    }
    caption.replaceChildren(...parts);
    caption.hidden = false;
  }
  function say(place) {
    const words = wordsOf(place.pair);
    const partners = partnersOf(place).slice(0, 3);
    const names = partners.map(({ at, share }) => words[other(place.side)][at]?.textContent + ", " + share + " percent");
    live.textContent = place.word.textContent + ": " + (names.join("; ") || "no partner");
  }
  const focused = () => placeOf(document.activeElement);

  // Hovering shows, leaving goes back to the word that has the focus.
  body.addEventListener("mouseover", (event) => {
    const place = placeOf(event.target);
    if (place) light(place);
    else if (lit.length && !event.target.closest?.(".flag, .grid")) light(focused());
  });
  document.documentElement.addEventListener("mouseleave", () => light(focused()));
  body.addEventListener("focusin", (event) => {
    const place = placeOf(event.target);
    if (place) {
      light(place);
      say(place);
    } else {
      const flag = event.target.closest?.(".flag");
      if (flag) name(flag);
      else clear();
    }
  });
  body.addEventListener("focusout", () => clear());
  body.addEventListener("click", (event) => {
    const place = placeOf(event.target);
    if (place) place.word.focus({ preventScroll: true });
    const flag = event.target.closest?.(".flag");
    if (flag) name(flag);
  });

  // A flag lights the words it is about.
  function name(flag) {
    clear();
    const words = wordsOf(flag.closest(".pair"));
    for (const side of ["source", "target"]) {
      for (const at of flag.dataset[side].split(" ").filter(Boolean)) {
        const element = words[side][Number(at)];
        if (!element) continue;
        element.classList.add("named");
        lit.push(element);
      }
    }
  }
  body.addEventListener("mouseover", (event) => {
    const flag = event.target.closest?.(".flag");
    if (flag) name(flag);
  });

  // Keyboard. A side is one stop of the Tab key; inside it the arrows go from word to word as the eye does.
  const sideOf = (element) => element.closest?.(".source, .target");
  function go(word) {
    if (!word) return;
    word.focus({ preventScroll: true });
    word.scrollIntoView({ block: "nearest" });
  }
  function neighbour(pair, step, wanted) {
    let at = numberOf(pair) + step;
    while (pairs[at] && !wanted(pairs[at])) at += step;
    return pairs[at];
  }
  const isShown = (pair) => !body.classList.contains("doubts") || pair.classList.contains("flagged");
  body.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const side = sideOf(event.target);
    const pair = event.target.closest?.(".pair");
    const place = placeOf(event.target);
    const name = side && (side.classList.contains("source") ? "source" : "target");
    const words = pair && wordsOf(pair);
    let handled = true;
    if (side && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      const forward = (event.key === "ArrowRight") === (name === "target");
      if (place) go(words[name][place.at + (forward ? 1 : -1)]);
      else go(forward ? words[name][0] : words[name].at(-1));
    } else if (side && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const next = neighbour(pair, event.key === "ArrowDown" ? 1 : -1, isShown);
      if (next) go(place ? wordsOf(next)[name][0] || next.querySelector("." + name) : next.querySelector("." + name));
    } else if (side && event.key === "Home") go(words[name][0]);
    else if (side && event.key === "End") go(words[name].at(-1));
    else if (event.key === "Enter" && place) {
      const best = partnersOf(place)[0];
      if (best) go(words[other(name)][best.at]);
    } else if (event.key === "Enter" && side) go(words[name][0]);
    else if (event.key === "Escape") {
      if (place) side.focus({ preventScroll: true });
      clear();
    } else if (event.key === "f") {
      const next = neighbour(pair || { }, 1, (one) => one.classList.contains("flagged")) || document.querySelector(".flagged");
      if (next) {
        next.scrollIntoView({ block: "center" });
        next.querySelector(".flag").focus({ preventScroll: true });
      }
    } else if (event.key === "m" && pair) pair.querySelector(".matrix")?.click();
    else if (event.key === "c") document.getElementById("shade").click();
    else handled = false;
    if (handled) event.preventDefault();
  });

  // Switches.
  function toggle(id, name) {
    const button = document.getElementById(id);
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(body.classList.toggle(name)));
    });
  }
  toggle("shade", "shade");
  toggle("doubts", "doubts");
  if (!document.querySelector(".flagged")) document.getElementById("doubts").disabled = true;
  const theme = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const isDark = () => (chosen === null ? dark.matches : chosen === "dark");
  const nameTheme = () => (theme.textContent = isDark() ? "Light" : "Dark");
  theme.addEventListener("click", () => {
    chosen = isDark() ? "light" : "dark";
    document.documentElement.style.colorScheme = chosen;
    nameTheme();
  });
  dark.addEventListener("change", nameTheme);
  nameTheme();

  // The soft matrix, made when it is asked for.
  function cell(tag, text, attributes) {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    return element;
  }
  function matrix(pair) {
    const { links, soft, null: nulls } = data[numberOf(pair)];
    const words = wordsOf(pair);
    const shares = new Map();
    const list = soft || links;
    for (let i = 0; i < list.length; i += 3) shares.set(list[i] + "-" + list[i + 1], list[i + 2]);
    const hard = new Set();
    for (let i = 0; i < links.length; i += 3) hard.add(links[i] + "-" + links[i + 1]);
    const table = cell("table", "", { dir: "rtl" });
    table.append(cell("caption", "Share of each English word that comes from each Arabic word, in percent; ∅: from none."));
    const head = table.createTHead().insertRow();
    for (const word of words.source) head.append(cell("th", word.textContent, { scope: "col", lang: "ar" }));
    head.append(cell("th", "∅", { scope: "col" }), cell("td", "", { class: "null" }));
    const rows = table.createTBody();
    words.target.forEach((target, t) => {
      const row = rows.insertRow();
      words.source.forEach((source, s) => {
        const share = shares.get(s + "-" + t) || 0;
        const element = cell("td", "", {
          title: source.textContent + " – " + target.textContent + ": " + share + " %",
          "aria-label": share + " percent",
          "data-source": s,
          "data-target": t,
        });
        if (share) element.style.setProperty("--p", share);
        if (hard.has(s + "-" + t)) element.classList.add("hard");
        row.append(element);
      });
      const none = cell("td", "", { class: "null", "aria-label": (nulls[t] || 0) + " percent", title: "∅ – " + target.textContent + ": " + (nulls[t] || 0) + " %" });
      none.style.setProperty("--p", nulls[t] || 0);
      row.append(none, cell("th", target.textContent, { scope: "row", lang: "en" }));
    });
    const grid = cell("div", "", { class: "grid", tabindex: "0", role: "region", "aria-label": "Matrix of sentence " + (numberOf(pair) + 1), dir: "ltr" });
    grid.append(table);
    grid.addEventListener("mouseover", (event) => {
      const { source, target } = event.target.dataset;
      clear();
      if (source === undefined) return;
      for (const element of [words.source[source], words.target[target]]) {
        element.classList.add("held");
        lit.push(element);
      }
    });
    return grid;
  }
  body.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.matrix");
    if (!button) return;
    const notes = button.closest(".pair").querySelector(".notes");
    const open = button.getAttribute("aria-expanded") === "true";
    if (open) notes.querySelector(".grid").remove();
    else notes.append(matrix(button.closest(".pair")));
    button.setAttribute("aria-expanded", String(!open));
  });
})();

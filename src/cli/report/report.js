
"use strict";
// Moves through time by what the history in this page shows: each step has the fields and blocks that it changed, so
// the article at a step is the newest of each up to there.
(() => {
  const by = (id) => document.getElementById(id);
  const steps = [...document.querySelectorAll(".steps > .step")];
  if (steps.length === 0) return;
  for (const hidden of document.querySelectorAll("[hidden]")) hidden.hidden = false;
  const [slider, side, paper, where] = ["slider", "side", "paper", "where"].map(by);
  const claims = steps.map((step) => [...step.querySelectorAll("[data-claim]")]);

  /** What stands after a step: fields and blocks by the step that last changed them, the order of blocks before and after, claims. */
  function at(last) {
    const fields = new Map(), blocks = new Map(), standing = new Map();
    let order = [], before = [];
    for (let index = 0; index < last; index++) {
      for (const field of steps[index].querySelectorAll("[data-field]")) fields.set(field.dataset.field, { node: field, index });
      for (const block of steps[index].querySelectorAll("[data-block]")) blocks.set(block.dataset.block, { node: block, index });
      for (const claim of claims[index]) standing.set(claim.dataset.claim, claim);
      before = order;
      const splice = steps[index].querySelector("[data-order]")?.dataset.order.split(",");
      if (splice) {
        order = [...order];
        order.splice(Number(splice[0]), Number(splice[1]), ...splice[2].split(" ").filter(Boolean));
      }
    }
    return { fields, blocks, order, before, standing };
  }

  /** A copy, without the marks of a step that is past. */
  function copy(node, present) {
    const made = node.cloneNode(true);
    if (!present) {
      for (const gone of made.querySelectorAll("del, .tag, .gone")) gone.remove();
      for (const came of made.querySelectorAll("ins")) came.replaceWith(...came.childNodes);
      made.classList.remove("added", "changed", "moved");
    }
    return made;
  }

  /** The body with what went at this step where it stood: after what came before it. */
  function body({ blocks, order, before }, index) {
    const stays = new Set(order);
    const shown = [...order];
    const gone = before.filter((id) => !stays.has(id) && blocks.get(id)?.index === index);
    for (const id of gone) {
      let after = before.indexOf(id) - 1;
      while (after >= 0 && !shown.includes(before[after])) after--;
      shown.splice(after < 0 ? 0 : shown.indexOf(before[after]) + 1, 0, id);
    }
    return shown;
  }

  const ABOVE = ["headline", "standfirst", "byline", "dateline"];

  function show(number) {
    const index = number - 1, step = steps[index], state = at(number);
    const shown = ({ node, index: changed }) => {
      const present = changed === index;
      return present || !node.classList.contains("gone") ? [copy(node, present && number > 1)] : [];
    };
    const named = (name) => (state.fields.has(name) ? shown(state.fields.get(name)) : []);
    const below = [...state.fields.keys()].filter((name) => !ABOVE.includes(name));
    const nodes = [
      ...ABOVE.flatMap(named),
      ...body(state, index).flatMap((id) => shown(state.blocks.get(id))),
      ...below.flatMap(named),
    ];
    paper.replaceChildren(...nodes);
    // What changed comes into view, where the paper is a window of its own.
    const first = number > 1 ? paper.querySelector(".added, .changed, .moved, .removed") : null;
    paper.scrollTop = first ? Math.max(0, first.offsetTop - paper.offsetTop - paper.clientHeight / 4) : 0;
    const title = step.querySelector("h3").cloneNode(true);
    title.removeAttribute("id");
    const parts = [title, step.querySelector(".when").cloneNode(true)];
    for (const part of [".said", ".moves", ".gate"]) {
      const found = step.querySelector(`:scope > ${part}`)?.cloneNode(true);
      if (found) parts.push(found);
    }
    if (state.standing.size > 0) {
      const head = document.createElement("h4");
      head.textContent = "Claims at this step";
      const list = document.createElement("ul");
      list.className = "checks-now";
      for (const claim of state.standing.values()) {
        const item = document.createElement("li");
        item.append(claim.querySelector("a").cloneNode(true), " ", claim.querySelector(".chip").cloneNode(true));
        list.append(item);
      }
      parts.push(head, list);
    }
    side.replaceChildren(...parts);
    slider.value = String(number);
    where.textContent = `Step ${number} of ${steps.length}`;
    slider.setAttribute("aria-valuetext", `Step ${number} of ${steps.length}: ${title.textContent}`);
    for (const mark of document.querySelectorAll("a.mark")) {
      const now = mark.dataset.step === String(number);
      mark.classList.toggle("now", now);
      if (now) mark.setAttribute("aria-current", "step"); else mark.removeAttribute("aria-current");
    }
    for (const jump of by("jumps").children) {
      if (jump.dataset.step === String(number)) jump.setAttribute("aria-current", "step"); else jump.removeAttribute("aria-current");
    }
  }

  const now = () => Number(slider.value);
  const go = (number) => show(Math.min(steps.length, Math.max(1, number)));
  slider.addEventListener("input", () => show(now()));
  by("first").addEventListener("click", () => go(1));
  by("back").addEventListener("click", () => go(now() - 1));
  by("on").addEventListener("click", () => go(now() + 1));
  by("last").addEventListener("click", () => go(steps.length));
  for (const step of steps.filter((it) => it.dataset.edition)) {
    const jump = document.createElement("button");
    jump.type = "button";
    jump.dataset.step = String(steps.indexOf(step) + 1);
    jump.textContent = `Edition ${step.dataset.edition}`;
    jump.addEventListener("click", () => go(Number(jump.dataset.step)));
    by("jumps").append(jump);
  }
  by("show-writers").addEventListener("change", (event) => paper.classList.toggle("no-writers", !event.target.checked));
  by("show-changes").addEventListener("change", (event) => paper.classList.toggle("no-changes", !event.target.checked));
  const caption = by("caption");
  for (const mark of document.querySelectorAll("a.mark")) {
    const tell = () => { caption.textContent = mark.getAttribute("aria-label"); };
    mark.addEventListener("mouseenter", tell);
    mark.addEventListener("focus", tell);
    mark.addEventListener("click", (event) => {
      event.preventDefault();
      go(Number(mark.dataset.step));
      by("time").scrollIntoView({ block: "start" });
      slider.focus({ preventScroll: true });
    });
  }
  // Paper has no folds: what is folded away on the screen is opened for the print.
  const folds = () => document.querySelectorAll("details");
  for (const fold of folds()) fold.open = false;
  addEventListener("beforeprint", () => { for (const fold of folds()) fold.open = true; });
  go(steps.length);
})();

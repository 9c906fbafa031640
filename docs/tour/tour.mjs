// node tour.mjs http://127.0.0.1:8080 TOKEN: drafts a story over HTTP and edits it twice from one base.
import { randomUUID } from "node:crypto";

const [server, token] = process.argv.slice(2);

async function send(type, data, rest = {}) {
  const response = await fetch(`${server}/v1/commands`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ id: randomUUID(), type, data, ...rest }),
  });
  return { status: response.status, ...(await response.json()) };
}

const draft = await send("draft", {
  slug: "harvest", language: "en", section: "world", headline: "A late harvest",
  blocks: [
    { kind: "paragraph", text: "The rain came late." },
    { kind: "paragraph", text: "So did the harvest." },
  ],
});
const base = { article: draft.article, base: draft.revision };
const replace = (block, text) => ({ ops: [{ op: "replace", block, text }] });

const first = await send("edit", replace("b1", "The rain came three weeks late."), base);
const other = await send("edit", replace("b2", "The harvest came later still."), base);
const same = await send("edit", replace("b1", "No rain came."), base);
console.log(first.revision, other.revision);
console.log(same.status, same.code, same.conflicts[0].theirs);

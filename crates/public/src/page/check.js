"use strict";
(() => {
  const link = document.getElementById("check");
  const told = document.getElementById("checked");
  const utf8 = new TextEncoder();
  const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", join(parts)));
  const base64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const hex = (text) => Uint8Array.from(text.match(/../g), (two) => parseInt(two, 16));
  const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);
  const join = (parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

  // RFC 8785: what the digest is taken over.
  const canonical = (value) =>
    Array.isArray(value) ? `[${value.map(canonical)}]`
    : value && typeof value === "object"
      ? `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)}}`
    : JSON.stringify(value);

  // A text without its marks: *emphasis*, **strong**, [words](address), and the backslash before punctuation.
  const words = (text) =>
    (text || "")
      .replace(/\[((?:\\.|[^[\]\\])*)\]\((?:\\.|[^()\\]|\((?:\\.|[^()\\])*\))*\)/gsu, "$1")
      .replace(/\\([!-/:-@[-`{-~])|\*/g, (_, escaped) => escaped || "");
  const bare = (text) => text.replace(/[\s\u0085]+/gu, "");

  // The words of a block as a page shows them.
  const shown = (block) =>
    block.kind === "image" ? [words(block.caption), block.credit || "", block.rights || ""].join("")
    : block.kind === "list" ? block.items.map(words).join("")
    : words(block.text) + (block.cite || "");

  class Wrong extends Error {}
  const expect = (holds, what) => {
    if (!holds) throw new Wrong(what);
  };
  const on = (selector) => bare((document.querySelector(selector) || { textContent: "" }).textContent);

  // That this page has the words of the proof.
  const compare = ({ fields, blocks, notes }, kind) => {
    if (kind === "withdrawal") {
      expect(bare(notes.at(-1).text) === on("main > p"), "The notice on this page isn't the one that was published.");
      return;
    }
    for (const [name, selector, text] of [
      ["headline", "h1", fields.headline],
      ["standfirst", "article .standfirst", fields.standfirst],
      ["byline", "article .byline", fields.byline],
      ["dateline", "article .dateline", fields.dateline],
    ]) {
      expect(bare(text || "") === on(selector), `The ${name} on this page isn't the one that was published.`);
    }
    const there = [...document.querySelectorAll(".notes li > p:last-child")].map((note) => bare(note.textContent));
    expect(same(there, notes.map((note) => bare(note.text))), "The corrections on this page aren't those that were published.");
    let rest = on("article .text");
    blocks.forEach((block, at) => {
      const next = bare(shown(block));
      expect(rest.startsWith(next), `Paragraph ${at + 1} on this page isn't as it was published.`);
      rest = rest.slice(next.length);
    });
    expect(rest === "", "This page says more than was published.");
  };

  // RFC 9162, section 2.1.3.2: the root that the path leads to.
  const rootOf = async (leaf, index, size, path) => {
    let [at, last, node] = [index, size - 1, leaf];
    for (const step of path) {
      expect(last > 0, "The path to the log's root is too long.");
      const left = at % 2 === 1 || at === last;
      node = await sha256([1], left ? step : node, left ? node : step);
      while (left && at > 0 && at % 2 === 0) [at, last] = [at / 2, Math.floor(last / 2)];
      [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
    }
    expect(last === 0, "The path to the log's root is too short.");
    return node;
  };

  // C2SP signed-note; false where this browser can't tell.
  const signed = async (text, line, key) => {
    const [name, id, material] = [...key.split("+").slice(0, 2), base64(key.split("+").slice(2).join("+"))];
    const [, signer, signature] = line.trim().split(" ");
    const bytes = base64(signature);
    expect(signer === name && same(bytes.slice(0, 4), hex(id)), "The log is signed with another key.");
    let verifier;
    try {
      verifier = await crypto.subtle.importKey("raw", material.slice(1), "Ed25519", false, ["verify"]);
    } catch {
      return false;
    }
    const holds = await crypto.subtle.verify("Ed25519", verifier, bytes.slice(4), utf8.encode(text));
    expect(holds, "The signature under the log's checkpoint doesn't hold.");
    return true;
  };

  const check = async () => {
    expect(globalThis.crypto?.subtle, "This browser checks nothing on an address without https.");
    const answer = await fetch(link.href, { headers: { Accept: "application/json" } });
    expect(answer.ok, "The newsroom gives no proof of this story now. Try again later.");
    const proof = await answer.json();
    compare(proof.public, proof.kind);
    const record = hex(proof.leaf);
    const digest = await sha256(utf8.encode(canonical(proof.public)));
    expect(record[0] === 2 && same(record.slice(33), digest), "The log has other words for this story.");
    const root = await rootOf(await sha256([0], record), proof.index, proof.size, proof.path.map(base64));
    const [text, signature] = proof.checkpoint.split("\n\n");
    const [origin, size, hash] = text.split("\n");
    expect(origin === proof.key.split("+")[0] && size === String(proof.size), "The checkpoint is of another log.");
    expect(same(base64(hash), root), "The log's checkpoint doesn't cover these words.");
    const verified = await signed(`${text}\n`, signature, proof.key);
    const end = verified
      ? `The log is signed with the key ${proof.key}.`
      : "This browser can't check the log's signature; everything else holds.";
    return (
      `Checked. The words on this page are those of edition ${proof.edition}, published on ` +
      `${new Date(proof.published).toUTCString()}. They are entry ${proof.index} of ${proof.size} in the log ${origin}. ${end} ` +
      "Whoever kept an earlier checkpoint of that log can tell if its history was changed since."
    );
  };

  link.addEventListener("click", async (event) => {
    event.preventDefault();
    told.className = "meta";
    told.textContent = "Checking …";
    try {
      told.textContent = await check();
      told.dataset.checked = "yes";
    } catch (error) {
      told.textContent = error instanceof Wrong ? `Not checked. ${error.message}` : "This story couldn't be checked now.";
      told.dataset.checked = "no";
    }
  });
})();

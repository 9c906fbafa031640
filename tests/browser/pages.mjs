// Opens pages in a real browser, as a phone and as a desktop, light and dark, and says what is wrong with them:
// anything on the console, any accessibility violation that axe-core finds, anything wider than the screen.
//
//   node pages.mjs BROWSER '[{"name", "url", "status", "direction", "says": [text…], "checked": [words…]}…]' [FOLDER for screenshots]
//
// Pictures of media.example are answered here, every other host is refused. Exits 1 and prints a line for each fault.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [browserPath, list, folder] = process.argv.slice(2);
const pages = JSON.parse(list);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const PICTURE = `<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="675">
  <rect width="1200" height="675" fill="#7a8c99"/><circle cx="600" cy="330" r="180" fill="#c8d3da"/></svg>`;

const SCREENS = [
  { name: "phone", viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 },
  { name: "desktop", viewport: { width: 1280, height: 800 } },
];

/** Has the page check its story, as it is and with a word changed; gives what is wrong with that. */
async function checks(tab, page) {
  const found = [];
  const check = async () => {
    await tab.evaluate(() => delete document.getElementById("checked").dataset.checked);
    await tab.click("#check");
    await tab.waitForSelector("#checked[data-checked]");
    return tab.evaluate(() => [document.getElementById("checked").dataset.checked, document.getElementById("checked").innerText]);
  };
  const change = (from, to) => tab.evaluate(([from, to]) => {
    const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!node.parentElement.closest("script") && node.data.includes(from)) return void (node.data = node.data.replace(from, to));
    }
  }, [from, to]);
  for (const word of page.checked) {
    await change(word, `${word}x`);
    const [holds, told] = await check();
    if (holds !== "no" || !told.includes("was published") && !told.includes("were published")) found.push(`takes ${word}x for ${word}: ${told}`);
    await change(`${word}x`, word);
  }
  const [holds, told] = await check();
  if (holds !== "yes" || !told.includes("The log is signed with the key")) found.push(`doesn't check: ${told}`);
  return found;
}

/** Opens a page on a screen and gives what is wrong with it there. */
async function faults(tab, page, shot) {
  const found = [];
  const listeners = {
    console: (message) => {
      // A browser notes every status from 400 on as an error, the one that is expected included.
      const expected = page.status >= 400 && message.location().url === page.url;
      if (["error", "warning"].includes(message.type()) && !expected) found.push(`console: ${message.text()}`);
    },
    pageerror: (error) => found.push(`script: ${error.message}`),
    requestfailed: (request) => found.push(`not loaded: ${request.url()}`),
  };
  for (const [event, listener] of Object.entries(listeners)) tab.on(event, listener);
  const response = await tab.goto(page.url, { waitUntil: "load" });
  if (response.status() !== page.status) found.push(`status ${response.status()}, not ${page.status}`);
  const seen = await tab.evaluate(() => ({
    text: document.body.innerText,
    direction: getComputedStyle(document.documentElement).direction,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    linked: [...document.querySelectorAll('script[type="application/ld+json"]')].map((it) => JSON.parse(it.text)),
    executable: document.querySelectorAll('script:not([type="application/ld+json"])').length,
  }));
  for (const text of page.says) if (!seen.text.includes(text)) found.push(`does not say: ${text}`);
  if (seen.direction !== page.direction) found.push(`runs ${seen.direction}`);
  if (seen.overflow > 0) found.push(`${seen.overflow} pixels wider than the screen`);
  if (seen.executable !== (page.checked ? 1 : 0)) found.push(`has ${seen.executable} scripts`);
  if (page.linked && seen.linked[0]?.["@type"] !== page.linked) found.push(`no linked data: ${page.linked}`);
  if (page.checked) found.push(...(await checks(tab, page)));
  await tab.evaluate(axe);
  for (const colorScheme of ["light", "dark"]) {
    await tab.emulateMedia({ colorScheme });
    const paper = await tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const isDark = Number(paper.match(/\d+/)[0]) < 128;
    if (isDark !== (colorScheme === "dark")) found.push(`its paper is ${paper} where it should be ${colorScheme}`);
    const { violations } = await tab.evaluate(() => window.axe.run());
    for (const { id, help, nodes } of violations) {
      found.push(`${colorScheme}: axe ${id}: ${help}: ${nodes.map((it) => it.html).join(" ")}`);
    }
    if (shot) await tab.screenshot({ path: `${shot}-${colorScheme}.png`, fullPage: true });
  }
  for (const [event, listener] of Object.entries(listeners)) tab.off(event, listener);
  return found;
}

async function main() {
  const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
  const all = await Promise.all(SCREENS.map(async ({ name, ...options }) => {
    const context = await browser.newContext(options);
    await context.route(/.*/, (route) => {
      const host = new URL(route.request().url()).hostname;
      if (host === "media.example") return route.fulfill({ contentType: "image/svg+xml", body: PICTURE });
      return host === "127.0.0.1" ? route.continue() : route.abort();
    });
    const tab = await context.newPage();
    const lines = [];
    for (const page of pages) {
      const found = await faults(tab, page, folder && `${folder}/${page.name}-${name}`);
      lines.push(...found.map((fault) => `${page.name} on a ${name}: ${fault}`));
    }
    return lines;
  }));
  await browser.close();
  return all.flat();
}

const lines = await main();
for (const line of lines) console.log(line);
console.log(`${pages.length} pages looked at, ${lines.length} faults`);
process.exit(lines.length > 0 ? 1 : 0);

// Opens records written by `copydesk report`, as a phone and as a desktop, light and dark, printed, and without
// scripts, moves through time, and says what is wrong: anything on the console, anything loaded from elsewhere, any
// accessibility violation, anything wider than the screen, other words at a step than are expected.
//
//   node report.mjs BROWSER '[{"name", "url", "steps": [{"step", "words", "not"?, "direction", "in_history"?}…], "says": [text…]}…]' [FOLDER for screenshots]
//
// Exits 1 and prints a line for each fault.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [browserPath, list, folder] = process.argv.slice(2);
const pages = JSON.parse(list);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const SCREENS = [
  { name: "phone", viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 },
  { name: "desktop", viewport: { width: 1280, height: 900 } },
];

/** The article at the step that is shown: what is there, without the labels, and without what went. */
const words = (tab) => tab.evaluate(() => {
  const paper = document.getElementById("paper").cloneNode(true);
  for (const label of paper.querySelectorAll(".wl, .margin, .label, del, .removed")) label.remove();
  return paper.textContent.replace(/\s+/g, " ");
});

async function faults(tab, page, shot) {
  const found = [];
  tab.on("console", (message) => { if (["error", "warning"].includes(message.type())) found.push(`console: ${message.text()}`); });
  tab.on("pageerror", (error) => found.push(`script: ${error.message}`));
  tab.on("request", (request) => { if (request.url() !== page.url) found.push(`asks for ${request.url()}`); });
  await tab.goto(page.url, { waitUntil: "load" });
  const text = await tab.evaluate(() => document.body.innerText);
  for (const says of page.says) if (!text.includes(says)) found.push(`does not say: ${says}`);
  const slider = tab.locator("#slider");
  for (const { step, words: expected, not, direction } of page.steps) {
    await slider.focus();
    await tab.keyboard.press("Home");
    for (let at = 1; at < step; at++) await tab.keyboard.press("ArrowRight");
    const shown = await words(tab);
    if (!shown.includes(expected)) found.push(`step ${step} does not read ${expected}: ${shown}`);
    if (not && shown.includes(not)) found.push(`step ${step} reads ${not}`);
    const runs = await tab.evaluate(() => getComputedStyle(document.querySelector("#paper .b p")).direction);
    if (runs !== direction) found.push(`step ${step} runs ${runs}`);
    const said = await slider.getAttribute("aria-valuetext");
    if (!said.startsWith(`Step ${step} of `)) found.push(`step ${step} is said to be ${said}`);
    if (shot) {
      await tab.evaluate(() => document.getElementById("time").scrollIntoView());
      await tab.screenshot({ path: `${shot}-step-${step}.png` });
    }
  }
  await tab.locator("a.mark").first().click();
  if (!(await slider.getAttribute("aria-valuetext")).startsWith("Step 1 of ")) found.push("a mark does not lead to its step");
  const overflow = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (overflow > 0) found.push(`${overflow} pixels wider than the screen`);
  // The page's policy refuses a script put in from outside; an isolated world doesn't come under it.
  const session = await tab.context().newCDPSession(tab);
  await session.send("Page.setBypassCSP", { enabled: true });
  for (const colorScheme of ["light", "dark"]) {
    await tab.emulateMedia({ colorScheme });
    await tab.evaluate(axe);
    const { violations } = await tab.evaluate(() => window.axe.run());
    for (const { id, help, nodes } of violations) {
      found.push(`${colorScheme}: axe ${id}: ${help}: ${nodes.slice(0, 3).map((it) => it.html).join(" ")}`);
    }
    if (shot) await tab.screenshot({ path: `${shot}-${colorScheme}.png`, fullPage: true });
  }
  return found;
}

/** Without scripts the whole history is there to be read, and there is no slider that does nothing. */
async function unscripted(browser, page, shot) {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 800, height: 1100 } });
  const tab = await context.newPage();
  await tab.goto(page.url);
  const found = [];
  if (await tab.locator("#slider").isVisible()) found.push("without scripts: the slider is shown");
  const history = (await tab.locator("#history").innerText()).replace(/\s+/g, " ");
  for (const { in_history: says } of page.steps) if (says && !history.includes(says)) found.push(`without scripts: the history does not say ${says}`);
  await tab.emulateMedia({ media: "print" });
  if (await tab.locator("nav").isVisible()) found.push("printed: the navigation is shown");
  if (shot) await tab.screenshot({ path: `${shot}-print.png`, fullPage: true });
  await context.close();
  return found;
}

async function main() {
  const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
  const lines = [];
  for (const page of pages) {
    for (const { name, ...options } of SCREENS) {
      const context = await browser.newContext(options);
      const found = await faults(await context.newPage(), page, folder && `${folder}/${page.name}-${name}`);
      lines.push(...found.map((fault) => `${page.name} on a ${name}: ${fault}`));
      await context.close();
    }
    lines.push(...(await unscripted(browser, page, folder && `${folder}/${page.name}`)).map((fault) => `${page.name}: ${fault}`));
  }
  await browser.close();
  return lines;
}

const lines = await main();
for (const line of lines) console.log(line);
console.log(`${pages.length} records looked at, ${lines.length} faults`);
process.exit(lines.length > 0 ? 1 : 0);

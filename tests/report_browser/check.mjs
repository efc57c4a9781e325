// node check.mjs CHROMIUM PAGE.html... prints one JSON object per page, width and colour scheme.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
const args = [
  "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--disable-dev-shm-usage", "--no-first-run",
];

async function look(browser, file, width, scheme) {
  const context = await browser.newContext({
    viewport: { width, height: 900 }, colorScheme: scheme, reducedMotion: "reduce", bypassCSP: true,
  });
  const page = await context.newPage();
  const errors = [];
  const requests = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => {
    if (!/^(file|data|blob):/.test(request.url())) requests.push(request.url());
  });
  page.on("dialog", async (dialog) => {
    errors.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.setDefaultTimeout(90_000);  // a busy machine draws slowly
  await page.goto(pathToFileURL(file).href);
  await page.evaluate(() => document.querySelectorAll("details").forEach((item) => { item.open = true; }));
  for (const plot of await page.locator(".plot").all()) await plot.scrollIntoViewIfNeeded();
  await page.waitForFunction(() => [...document.querySelectorAll(".plot")].every((plot) => plot.querySelector("svg")));
  const found = await page.evaluate(() => ({
    plots: document.querySelectorAll(".plot svg.main-svg").length,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    lost: [...document.querySelectorAll("nav a")].map((a) => a.hash).filter((hash) => !document.getElementById(hash.slice(1))),
  }));
  const sortable = page.locator("table.sortable").first();
  if (await sortable.count()) {
    await sortable.locator("thead button").first().press("Enter");
    found.sorted = await sortable.locator("thead th").first().getAttribute("aria-sort");
    found.first = await sortable.locator("tbody tr").first().locator("th").innerText();
  }
  await page.addScriptTag({ path: axePath });
  const result = await page.evaluate((only) => globalThis.axe.run(document, { runOnly: only }), tags);
  const violations = result.violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | ")}`);
  await context.close();
  return { file, width, scheme, errors, requests, violations, ...found };
}

const [executablePath, ...files] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args, timeout: 90_000 });
try {
  for (const file of files) {
    for (const width of [360, 1280]) {
      for (const scheme of ["light", "dark"]) console.log(JSON.stringify(await look(browser, file, width, scheme)));
    }
  }
} finally {
  await browser.close();
}

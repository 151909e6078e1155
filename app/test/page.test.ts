/** The page in a real browser. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { type Browser, chromium, type Page } from "playwright-core";
import type { Running } from "../src/server.js";
import { PASSWORD, startApplication } from "./support/application.js";
import { FaultProxy } from "./support/fault-proxy.js";
import { databaseUrl, missing, type Service, startPostgres } from "./support/services.js";

const CHROMIUM = "/usr/bin/chromium";
const chromiumMissing = !existsSync(CHROMIUM) && "not installed: chromium (apt-get install chromium)";
/** No background requests of the browser: they fail where there is no internet access. */
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

/** The whole text: "unhealthy" must not match. */
const HEALTHY = /^healthy$/;
/** The console shows every answer with an error status, also an expected one. */
const FAILED_REQUEST = /^Failed to load resource: the server responded with a status of (401|400|503) /;

describe("the page", { skip: missing("postgres") || chromiumMissing }, () => {
  let postgres: Service;
  let database: FaultProxy;
  let server: Running;
  let browser: Browser;
  let page: Page;
  /** What the browser reports: a blocked script or style, a missing file, an error in a script. */
  const problems: string[] = [];

  before(async () => {
    postgres = await startPostgres();
    database = await new FaultProxy(postgres.port).start();
    server = await startApplication({ DATABASE_URL: databaseUrl(database.port), DATABASE_RETRY_MS: "0",
      // Longer than any delay of a busy machine.
      HEALTH_TIMEOUT_MS: "3000" });
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    page = await browser.newPage({
      timezoneId: "Europe/Berlin", locale: "en-GB", viewport: { width: 1180, height: 900 },
    });
    page.setDefaultTimeout(15_000);
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(server.url);
  });

  after(async () => {
    await browser.close();
    await server.stop();
    await database.stop();
    await postgres.stop();
  });

  const events = (): Promise<string[]> => page.locator("#list h3").allTextContents();

  test("a visitor sees the list, the server that answered and its state, and cannot add events", async () => {
    await page.getByText("No upcoming events.").waitFor();
    await page.locator("#state-status", { hasText: HEALTHY }).waitFor();
    assert.equal(await page.locator("#server").textContent(), "app1");
    assert.equal(await page.locator("#state-database").textContent(), "ready");
    assert.equal(await page.locator("#create").isVisible(), false);
    assert.deepEqual(problems, []);
  });

  test("sign-in: a wrong password shows a message, the right one opens the form", async () => {
    await page.getByLabel("User name").fill("admin");
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("The user name or the password is wrong.").waitFor();
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Signed in as admin").waitFor();
    assert.equal(await page.locator("#sign-in").isVisible(), false);
  });

  test("an event is added, shown in the visitor's own time, never as markup, and stays after a reload", async () => {
    await page.getByRole("button", { name: "Add event" }).click();
    await page.getByText("Give the event a title.").waitFor();
    const title = "Summer <b>party</b> & friends";
    await page.getByLabel("Title").fill(title);
    await page.getByLabel("Date and time").fill("2090-07-14T19:30");
    await page.getByLabel("Place").fill("Garden");
    await page.getByLabel("Description").fill("Bring a chair.\nRain or shine.");
    await page.getByRole("button", { name: "Add event" }).click();
    await page.getByRole("heading", { name: title }).waitFor();
    await page.getByText("19:30 · Garden · added by admin").waitFor();
    assert.equal(await page.locator("#list time").getAttribute("datetime"), "2090-07-14T17:30:00.000Z");
    assert.equal(await page.getByLabel("Title").inputValue(), "");
    await page.reload();
    await page.getByText("Signed in as admin").waitFor();
    await page.getByRole("heading", { name: title }).waitFor();
    assert.deepEqual(await events(), [title]);
  });

  test("a past event is found under Past", async () => {
    await page.getByLabel("Title").fill("Long ago");
    await page.getByLabel("Date and time").fill("2001-01-01T10:00");
    await page.getByRole("button", { name: "Add event" }).click();
    await page.getByRole("heading", { name: "Long ago" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Past" }).getAttribute("aria-pressed"), "true");
    await page.getByRole("button", { name: "Upcoming" }).click();
    await page.getByRole("heading", { name: "Summer" }).waitFor();
    assert.equal((await events()).length, 1);
  });

  test("while the database is down the page says so, keeps the typed text, and recovers on its own", async () => {
    await page.getByLabel("Title").fill("Typed before");
    await database.set("refuse");
    await page.getByText("The database cannot be reached").waitFor();
    await page.getByText("unhealthy").waitFor();
    assert.equal((await events()).length, 1, "the list stays");
    await database.set("pass");
    await page.locator("#state-status", { hasText: HEALTHY }).waitFor();
    await page.locator("#notice").waitFor({ state: "hidden" });
    assert.equal(await page.getByLabel("Title").inputValue(), "Typed before");
  });

  test("the page fits the screen of a phone", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    const width = await page.evaluate("document.documentElement.scrollWidth");
    assert.ok(Number(width) <= 360, `the page is ${String(width)} px wide`);
    await page.setViewportSize({ width: 1180, height: 900 });
  });

  test("an event is deleted after a confirmation, and sign-out closes the form", async () => {
    let question = "";
    page.once("dialog", (dialog) => {
      question = dialog.message();
      void dialog.accept();
    });
    await page.getByRole("button", { name: /^Delete Summer/ }).click();
    await page.getByText("No upcoming events.").waitFor();
    assert.match(question, /^Delete “Summer/);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("User name").waitFor();
    assert.equal(await page.locator("#create").isVisible(), false);
  });

  test("the page reports no other error", () => {
    assert.deepEqual(problems.filter((problem) => !FAILED_REQUEST.test(problem)), []);
  });
});

// For the tests of the page: a server, a headless browser, pages, and waiting.
// @ts-check
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath } from "node:url";

import * as esbuild from "esbuild";
import puppeteer from "puppeteer-core";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const NODE_COMMAND = path.join(ROOT, "build/web/oriel.mjs");
const CHROMIUM = process.env["ORIEL_CHROMIUM"] ?? "/usr/bin/chromium";
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** What tools/guests.mjs makes: amd64/ and 686/ with a kernel and an initramfs, demo.img, rescue.iso. */
const GUESTS = process.env["ORIEL_GUESTS"] ?? path.join(ROOT, ".cache/guests");

/** @param {string} name */
export function guest(name) {
  const file = path.join(GUESTS, name);
  if (!fs.existsSync(file)) throw new Error(`there is no ${file}: make the guests first (./run --build-only)`);
  return file;
}

/** Screenshots go here when it is set. */
const SHOTS = process.env["ORIEL_SCREENSHOTS"];

/** A module of web/src, bundled: Node does not load TypeScript.
 * @param {string} file @returns {Promise<any>} */
export async function importTypeScript(file) {
  const result = await esbuild.build({
    entryPoints: [path.join(ROOT, "web/src", file)],
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
  });
  return import(`data:text/javascript;base64,${Buffer.from(result.outputFiles[0]?.contents ?? []).toString("base64")}`);
}

/** Assembles tests/web/guests/NAME.asm to DIR/NAME.img.
 * @param {string} name @param {string} dir */
export function assemble(name, dir) {
  const image = path.join(dir, `${name}.img`);
  const source = path.join(ROOT, "tests/web/guests", `${name}.asm`);
  const nasm = spawnSync("nasm", ["-f", "bin", "-Werror", "-o", image, source], { encoding: "utf8" });
  if (nasm.status !== 0) throw new Error(`nasm: ${nasm.error?.message ?? nasm.stderr}`);
  return image;
}

/** Waits until `probe` gives something true, and returns that. The limit turns a hang into a failure; a busy machine may
 * take minutes for what is a second's work.
 * @template T @param {string} what @param {() => T | Promise<T>} probe @param {number} [seconds]
 * @returns {Promise<T>} */
export async function until(what, probe, seconds = 600) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A browser, the server of the page, and a directory for files: one for a test file. */
export class Browser {
  /** @param {import("puppeteer-core").Browser} browser @param {import("node:child_process").ChildProcess} server
   * @param {string} url @param {string} dir */
  constructor(browser, server, url, dir) {
    this.browser = browser;
    this.server = server;
    this.url = url;
    this.dir = dir;
  }

  /** @param {{dir?: string}} [served] another directory to serve */
  static async open(served = {}) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "oriel-web-"));
    const args = [NODE_COMMAND, "serve", "--port", "0", ...(served.dir ? ["--dir", served.dir] : [])];
    const server = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    /** @type {string} */
    const url = await new Promise((resolve, reject) => {
      server.stdout?.once("data", (data) => resolve(/http:\S+/.exec(String(data))?.[0] ?? ""));
      server.once("exit", (status) => reject(new Error(`oriel serve ended with exit status ${status}`)));
    });
    const browser = await puppeteer.launch({
      executablePath: CHROMIUM,
      headless: true,
      args: CHROMIUM_FLAGS,
      userDataDir: path.join(dir, "profile"),
      protocolTimeout: 600_000,
    });
    return new Browser(browser, server, url, dir);
  }

  async close() {
    await this.browser.close();
    this.server.kill();
    fs.rmSync(this.dir, { recursive: true, force: true, maxRetries: 10 });
  }

  /** A page in a context of its own. @param {string} [url] */
  async page(url = this.url) {
    const context = await this.browser.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport({ width: 1360, height: 900 });
    const oriel = new OrielPage(page);
    await page.goto(url);
    return oriel;
  }
}

/** The page under test. */
export class OrielPage {
  /** @param {import("puppeteer-core").Page} page */
  constructor(page) {
    this.page = page;
    /** @type {string[]} what went wrong without a word to the user */
    this.failures = [];
    page.on("pageerror", (error) => this.failures.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("404")) this.failures.push(message.text());
    });
  }

  /** Chooses files as a person does. @param {...string} files */
  async choose(...files) {
    const input = /** @type {import("puppeteer-core").ElementHandle<HTMLInputElement>} */ (
      await this.page.$("#file-input")
    );
    const before = await this.page.$$eval("#file-list li", (rows) => rows.length);
    await input.uploadFile(...files);
    await until("the chosen files in the list", () =>
      this.page.$$eval("#file-list li", (rows, n) => rows.length > n, before),
    );
  }

  /** Chooses files, and presses Start. @param {...string} files */
  async boot(...files) {
    await this.choose(...files);
    await this.page.click("#start");
  }

  /** @param {string} selector */
  text(selector) {
    return this.page.$eval(selector, (element) => element.textContent ?? "");
  }

  /** Types as a person does, who holds Shift for what needs it. @param {string} text */
  async type(text) {
    const { keyboard } = this.page;
    for (const character of text) {
      const shift = /[A-Z~!@#$%^&*()_+{}|:"<>?]/.test(character);
      if (shift) await keyboard.down("ShiftLeft");
      await keyboard.press(/** @type {import("puppeteer-core").KeyInput} */ (character), { delay: 20 });
      if (shift) await keyboard.up("ShiftLeft");
    }
  }

  status() {
    return this.page.evaluate(() => window.oriel.status());
  }
  screenText() {
    return this.page.evaluate(() => window.oriel.screenText());
  }
  serialText() {
    return this.page.evaluate(() => window.oriel.serialText());
  }
  /** @param {string} text */
  sendSerial(text) {
    return this.page.evaluate((t) => window.oriel.sendSerial(t), text);
  }

  /** @param {string} state @param {number} [seconds] */
  state(state, seconds) {
    return until(`state ${state}`, async () => (await this.status()).state === state, seconds);
  }
  /** @param {string | RegExp} text @param {number} [seconds] */
  screen(text, seconds) {
    return this.shows("screen", () => this.screenText(), text, seconds);
  }
  /** @param {string | RegExp} text @param {number} [seconds] */
  serial(text, seconds) {
    return this.shows("serial port", () => this.serialText(), text, seconds);
  }

  /** @param {string} where @param {() => Promise<string>} get @param {string | RegExp} text @param {number} [seconds] */
  async shows(where, get, text, seconds) {
    const has = (/** @type {string} */ shown) => (typeof text === "string" ? shown.includes(text) : text.test(shown));
    try {
      return await until(`${text} on the ${where}`, async () => has(await get()) && (await get()), seconds);
    } catch (error) {
      const state = JSON.stringify(await this.status());
      throw new Error(`${/** @type {Error} */ (error).message}; it has:\n${(await get()).slice(-3000)}\n${state}`);
    }
  }

  /** The pixel of the canvas, as [r, g, b]. @param {number} x @param {number} y */
  pixel(x, y) {
    return this.page.$eval(
      "#canvas",
      (canvas, px, py) => {
        const context = /** @type {HTMLCanvasElement} */ (canvas).getContext("2d");
        return [...(context?.getImageData(px, py, 1, 1).data ?? [])].slice(0, 3);
      },
      x,
      y,
    );
  }

  /** For a person to look at. @param {string} name @param {boolean} [fullPage] */
  async screenshot(name, fullPage = false) {
    if (!SHOTS) return;
    fs.mkdirSync(SHOTS, { recursive: true });
    await this.page.screenshot({ path: /** @type {`${string}.png`} */ (path.join(SHOTS, `${name}.png`)), fullPage });
  }

  async close() {
    await this.page.browserContext().close();
  }
}

// The page in a headless browser, with small guests: its controls, its input and output, its errors.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";

import { assemble, Browser, guest, NODE_COMMAND, until } from "./harness.mjs";

/** @type {Browser} */
let browser;
/** @type {string} a disk with tests/web/guests/echo.asm */
let echo;
/** @type {string} a disk that has nothing to boot */
let blank;

before(async () => {
  browser = await Browser.open();
  echo = assemble("echo", browser.dir);
  blank = path.join(browser.dir, "blank.img");
  fs.writeFileSync(blank, Buffer.alloc(32 * 1024));
});
after(() => browser?.close());

/** A page of its own for a test, closed after it; nothing may have failed unseen.
 * @param {string} name @param {(p: import("./harness.mjs").OrielPage) => Promise<void>} body */
function onPage(name, body) {
  test(name, async () => {
    const p = await browser.page();
    try {
      await body(p);
      assert.deepEqual(p.failures, []);
    } catch (error) {
      await p.screenshot(`failed: ${name.replaceAll("/", " ")}`);
      throw error;
    } finally {
      await p.close();
    }
  });
}

/** @param {import("./harness.mjs").OrielPage} p */
const focused = (p) => p.page.evaluate(() => document.activeElement?.id ?? "");

describe("before the start", () => {
  onPage("the controls are there, and only what makes sense can be pressed", async (p) => {
    const enabled = () =>
      p.page.$$eval("#machine .toolbar:first-child button", (buttons) =>
        buttons.map((b) => `${b.textContent?.trim()}${/** @type {HTMLButtonElement} */ (b).disabled ? "" : " on"}`),
      );
    assert.deepEqual(await enabled(), ["Start on", "Pause", "Reset", "Power button", "Full screen on"]);
    assert.equal(await p.text("#state"), "Off");
    assert.match(await p.text("#overlay"), /press Start/);
    assert.equal(await p.page.$eval(".xterm", (e) => e.clientHeight > 100), true);
    await p.screenshot("start");
  });

  onPage("every control can be reached and named without a mouse", async (p) => {
    const unnamed = await p.page.$$eval("button, select, input, canvas, textarea", (elements) =>
      elements
        .filter((e) => e.checkVisibility())
        .filter((e) => {
          const labels = "labels" in e && e.labels instanceof NodeList ? e.labels.length : 0;
          return !labels && !e.getAttribute("aria-label") && !e.textContent?.trim();
        })
        .map((e) => e.outerHTML),
    );
    assert.deepEqual(unnamed, []);
    await p.page.click('input[name="source"][value="files"]'); // where the demo is built, it is chosen first
    const reached = new Set();
    for (let i = 0; i < 14; i++) {
      await p.page.keyboard.press("Tab");
      reached.add(await focused(p));
      if (reached.has("canvas")) break; // which takes the Tab key for the guest
    }
    for (const id of ["choose", "memory", "start", "canvas"]) assert.ok(reached.has(id), `${id} by the Tab key`);
  });

  onPage("files are told by what is in them, and their use can be changed", async (p) => {
    const iso = path.join(browser.dir, "cd.bin");
    const bytes = Buffer.alloc(64 * 1024);
    bytes.write("CD001", 0x8001);
    fs.writeFileSync(iso, bytes);
    await p.choose(echo, blank, iso);
    const kinds = () => p.page.$$eval("#file-list select", (all) => all.map((s) => s.value));
    assert.deepEqual(await kinds(), ["hda", "hdb", "cdrom"]);
    assert.equal(await p.page.$eval("#boot-field", (e) => e.checkVisibility()), true);
    await p.page.select("#file-list li:nth-child(2) select", "virtio");
    assert.deepEqual(await kinds(), ["hda", "virtio", "cdrom"]);
    await p.page.click("#file-list li:nth-child(1) button");
    assert.deepEqual(await kinds(), ["virtio", "cdrom"]);
    assert.match(await p.text("#own-files"), /never modified/);
  });

  onPage("files can be dropped on the page", async (p) => {
    await p.page.evaluate(() => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(512)], "dropped.img"));
      for (const type of ["dragover", "drop"]) {
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
      }
    });
    await until("the dropped file", async () => (await p.text("#file-list")).includes("dropped.img"));
    assert.equal(await p.page.$eval("#drop-overlay", (e) => e.checkVisibility()), false);
  });
});

describe("a guest", () => {
  onPage("a disk with nothing to boot shows SeaBIOS on the screen", async (p) => {
    await p.boot(blank);
    await p.screen("SeaBIOS (version");
    await p.screen("No bootable device");
    // The status follows the screen at its own pace.
    await until("the mode", async () => (await p.text("#status-screen")) === "720×400, text 80×25");
    // Grey text on black has reached the canvas.
    const lit = () =>
      p.page.$eval("#canvas", (c) => {
        const canvas = /** @type {HTMLCanvasElement} */ (c);
        const { data } = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).getImageData(0, 0, 720, 400);
        return data.filter((v, i) => i % 4 === 0 && v === 0xaa).length;
      });
    await until("the text in the canvas", async () => (await lit()) > 500);
    await p.screenshot("seabios");
  });

  onPage("the keyboard reaches the guest while the screen has the focus", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    assert.equal(await focused(p), "canvas");
    await p.page.keyboard.press("KeyA");
    await p.serial("k1e k9e ");
    await p.screen("k1e k9e");
    await p.page.keyboard.press("ArrowUp");
    await p.page.keyboard.press("Tab");
    await p.serial("ke0 k48 ke0 kc8 k0f k8f ");
    assert.equal(await focused(p), "canvas", "Tab is the guest's");
  });

  onPage("held keys are let go when the focus leaves, and Ctrl+Alt+G leaves", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.page.keyboard.down("ShiftLeft");
    await p.serial("k2a ");
    await p.page.focus("#memory");
    await p.serial("k2a kaa ");
    await p.page.keyboard.up("ShiftLeft");
    await p.page.keyboard.press("KeyB"); // is not the guest's now
    await p.page.focus("#canvas");
    for (const key of /** @type {const} */ (["ControlLeft", "AltLeft"])) await p.page.keyboard.down(key);
    await p.page.keyboard.down("KeyG");
    await p.serial("k2a kaa k1d k38 k9d kb8 ");
    assert.equal(await focused(p), "start");
  });

  onPage("the mouse is the guest's after a click, with its buttons and wheel", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    const box = await (await p.page.$("#canvas"))?.boundingBox();
    assert.ok(box);
    const [x, y] = [box.x + 100, box.y + 100];
    await p.page.mouse.click(x, y);
    await until("the pointer lock", () => p.page.evaluate(() => document.pointerLockElement?.id === "canvas"));
    await p.page.mouse.move(x + 5, y - 3);
    // Right 5 and up 3: the mouse counts upwards.
    await p.serial(/m08 m05 m03 m00 /);
    await p.page.mouse.down({ button: "right" });
    await p.serial(/m0a m00 m00 m00 /);
    await p.page.mouse.up({ button: "right" });
    await p.page.mouse.wheel({ deltaY: 120 });
    await p.serial(/m08 m00 m00 m01 /);
    await p.page.mouse.wheel({ deltaY: -240 });
    await p.serial(/m08 m00 m00 mfe /);
    await p.page.evaluate(() => document.exitPointerLock());
  });

  onPage("the serial terminal sends what is typed in it and shows the answer", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.page.click("#terminal");
    await p.page.keyboard.type("xy");
    await p.page.keyboard.press("Enter");
    await p.serial("s78 s79 s0d ");
    await until("the answer in the terminal", async () => (await p.text(".xterm-rows")).includes("s78 s79 s0d"));
  });

  onPage("keys that a browser keeps can be sent from the list", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.page.select("#send-keys", "ControlLeft AltLeft Delete");
    await p.serial("k1d k38 ke0 k53 ke0 kd3 kb8 k9d ");
    await p.page.evaluate(() => window.oriel.typeText("aB"));
    await p.serial("k1e k9e k2a k30 kb0 kaa ");
  });

  onPage("graphics reach the canvas", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.sendSerial("g");
    await until("the mode", async () => (await p.text("#status-screen")) !== "720×400, text 80×25");
    await until("the picture", async () => String(await p.pixel(1, 100)) === "0,0,168" || String(await p.pixel(1, 100)) === "0,0,170");
    assert.deepEqual(await p.pixel(318, 100), [0, 0, 0]);
    assert.equal(await p.screenText(), "");
  });

  onPage("pause stops the instructions, resume goes on, reset begins again, stop ends", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.page.click("#pause");
    await p.state("paused");
    assert.equal(await p.text("#pause"), "Resume");
    const count = async () => /** @type {any} */ (await p.page.evaluate(() => window.oriel.stats())).instructions_total;
    const paused = await count();
    assert.ok(paused > 1e6);
    await p.sendSerial("x");
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.equal(await count(), paused);
    assert.ok(!(await p.serialText()).includes("s78"));
    await p.screenshot("paused");

    await p.page.click("#pause");
    await p.state("running");
    await p.serial("s78 ");
    assert.ok((await count()) > paused);

    await p.page.click("#reset");
    await p.serial(/ORIEL-ECHO .*s78 .*ORIEL-ECHO/s);

    await p.page.click("#start");
    assert.equal(await p.text("#state"), "Off");
    assert.equal(await p.text("#start"), "Start");
    await p.page.click("#start");
    await until("a fresh machine", async () => /^ORIEL-ECHO/.test(await p.serialText()));
  });

  onPage("powering off is shown, and reset switches on again", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.sendSerial("p");
    await p.state("poweredOff");
    assert.equal(await p.text("#state"), "Powered off");
    assert.match(await p.text("#overlay"), /powered off/);
    await p.screenshot("powered off");
    await p.page.click("#reset");
    await p.serial(/s70 *.*ORIEL-ECHO/s);
    await p.state("running");
  });

  onPage("the disk with what the guest wrote can be downloaded; CDs are changed while the guest runs", async (p) => {
    const image = assemble("disks", browser.dir);
    const downloads = path.join(browser.dir, "downloads");
    const session = await p.page.createCDPSession();
    const context = p.page.browserContext().id ?? "";
    await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: downloads, browserContextId: context });
    const cd = (/** @type {string} */ name, /** @type {number} */ bytes) => {
      const file = path.join(browser.dir, `${name}.iso`);
      const content = Buffer.alloc(bytes);
      content.write(name);
      fs.writeFileSync(file, content);
      return file;
    };
    await p.boot(image);
    await p.serial("written none ");
    const input = /** @type {import("puppeteer-core").ElementHandle<HTMLInputElement>} */ (await p.page.$("#cd-file"));
    await input.uploadFile(cd("ABCD", 8192));
    await p.serial("none ABCD ");
    await input.uploadFile(cd("EFGH", 4096));
    await p.serial(/ABCD (none )?EFGH /);
    await input.uploadFile(cd("IJKL", 4097));
    await until("the refusal", async () => /IJKL\.iso: .*truncated/.test(await p.text("#error-text")));
    await p.page.click("#error-close");
    await p.page.click("#eject-cd");
    await p.serial("EFGH none ");

    const expected = fs.readFileSync(image);
    assert.ok(!expected.includes("WWWW"));
    expected.fill("W", 200 * 512, 201 * 512);
    await p.page.click("#save-disk");
    const saved = path.join(downloads, "disks.img");
    await until("the download", () => fs.existsSync(saved) && fs.statSync(saved).size === expected.length);
    assert.ok(fs.readFileSync(saved).equals(expected));
    await p.screenshot("disks");
  });

  onPage("a disk that the guest has not written to is not downloaded", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.page.click("#save-disk");
    await until("the answer", async () => /written nothing/.test(await p.text("#error-text")));
  });

  onPage("a triple fault is shown with the state of the CPU", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.sendSerial("t");
    await p.state("tripleFault");
    assert.match(await p.text("#error-detail"), /RIP=0000000000007c/);
    await p.screenshot("triple fault");
    await p.page.click("#reset");
    await p.serial(/s74 *.*ORIEL-ECHO/s);
    assert.equal(await p.page.$eval("#error", (e) => e.checkVisibility()), false);
  });

  onPage("a guest that halts for good costs nothing and is said to be halted", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.sendSerial("h");
    await until("an idle CPU", async () => (await p.text("#status-load")) === "0 %");
    assert.match((await p.status()).state, /^(halted|running)$/);
  });

  onPage("the page answers while the CPU runs flat out", async (p) => {
    await p.boot(echo); // which polls its ports without a rest
    await p.serial("ORIEL-ECHO ");
    const gaps = await p.page.evaluate(
      () =>
        new Promise((/** @type {(gaps: number[]) => void} */ resolve) => {
          /** @type {number[]} */
          const times = [];
          const frame = (/** @type {number} */ now) => {
            times.push(now);
            if (times.length <= 120) requestAnimationFrame(frame);
            else resolve(times.slice(1).map((t, i) => t - /** @type {number} */ (times[i])));
          };
          requestAnimationFrame(frame);
        }),
    );
    gaps.sort((a, b) => a - b);
    console.log(`frames: median ${gaps[60]?.toFixed(1)} ms, 95 % ${gaps[114]?.toFixed(1)} ms, worst ${gaps[119]?.toFixed(1)} ms`);
    const load = (await p.status()).load;
    assert.ok(load > 0.5, `the CPU is busy: ${load}`);
    await p.page.click("#pause");
    await p.state("paused");
  });

  onPage("in a hidden tab nothing is drawn, and the guest runs on", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    const other = await p.page.browserContext().newPage();
    await other.bringToFront();
    await until("a hidden page", () => p.page.evaluate(() => document.hidden));
    const drawn = async () => /** @type {any} */ (await p.page.evaluate(() => window.oriel.stats())).screen;
    const { frames_rendered_total: rendered, frames_unchanged_total: unchanged } = await drawn();
    const { instructions } = await p.status();
    await until("more instructions", async () => (await p.status()).instructions > instructions + 1e6);
    const later = await drawn();
    // One frame may have been asked for before.
    assert.ok(later.frames_rendered_total + later.frames_unchanged_total <= rendered + unchanged + 1);
    await p.sendSerial("x");
    await p.page.bringToFront();
    await p.screen("s78");
    await until("a frame", async () => (await drawn()).frames_rendered_total > rendered);
    await other.close();
  });

  onPage("full screen shows the screen alone", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.page.click("#fullscreen");
    await until("full screen", () => p.page.evaluate(() => document.fullscreenElement?.id === "screen"));
    assert.equal(await focused(p), "canvas");
    await p.page.keyboard.press("KeyA");
    await p.serial("k1e k9e ");
    await p.page.evaluate(() => document.exitFullscreen());
  });

  onPage("much on the serial port leaves the page responsive, and all of it arrives", async (p) => {
    await p.boot(echo);
    await p.serial("ORIEL-ECHO ");
    await p.sendSerial("f");
    await p.serial("s66 abcdefghijklmnop");
    await p.page.click("#pause"); // answers in the midst of it
    await p.state("paused");
    await p.page.click("#pause");
    const whole = "ORIEL-ECHO s66 ".length + (32 * 1024);
    await until("all of it", () => p.page.evaluate((n) => window.oriel.serialText().length >= n, whole));
    assert.equal((await p.serialText()).slice("ORIEL-ECHO s66 ".length), "abcdefghijklmnop".repeat(2048));
  });

  onPage("the same deterministic boot has the same hashes as under Node", async (p) => {
    const config = { deterministic: true, hashEvery: 5_000_000, maxInstructions: 20_000_000, memoryMiB: 64 };
    const disk = await p.page.evaluateHandle(
      async (bytes, options) => {
        const blob = await (await fetch(bytes)).blob();
        await window.oriel.start({ hda: blob, ...options });
      },
      `data:application/octet-stream;base64,${fs.readFileSync(echo).toString("base64")}`,
      config,
    );
    await disk.dispose();
    await p.state("paused");
    const { hashes, instructions } = await p.status();
    assert.equal(instructions, 20_000_000);
    const options = `--hda ${echo} --snapshot --deterministic --hash-every 5000000 --max-instructions 20000000 --memory 64 --serial none`;
    const node = spawnSync(process.execPath, [NODE_COMMAND, "run", ...options.split(" ")], { encoding: "utf8" });
    assert.equal(hashes.length, 4);
    assert.deepEqual(
      hashes.map((/** @type {string} */ h) => `hash ${h}`),
      node.stderr.split("\n").filter((line) => line.startsWith("hash ")),
    );
  });
});

describe("what cannot be", () => {
  /** @param {import("./harness.mjs").OrielPage} p @param {RegExp} message */
  async function refused(p, message) {
    await p.state("failed");
    assert.match(await p.text("#error-text"), message);
    assert.equal(await p.page.$eval("#error", (e) => e.checkVisibility()), true);
    assert.equal(await p.text("#start"), "Start");
  }

  onPage("nothing chosen", async (p) => {
    await p.page.click('input[name="source"][value="files"]'); // not the demo, where it is built
    await p.page.click("#start");
    await refused(p, /choose a disk, a CD image or a kernel first/);
  });

  onPage("a disk image of a format that is not raw", async (p) => {
    const file = path.join(browser.dir, "disk.qcow2");
    fs.writeFileSync(file, Buffer.concat([Buffer.from("QFI\xfb", "latin1"), Buffer.alloc(508)]));
    await p.boot(file);
    await refused(p, /disk\.qcow2: the image is in QCOW2/);
    await p.screenshot("bad image");
    await p.page.click("#error-close");
    assert.equal(await p.page.$eval("#error", (e) => e.checkVisibility()), false);
  });

  onPage("a truncated image", async (p) => {
    const file = path.join(browser.dir, "odd.img");
    fs.writeFileSync(file, Buffer.alloc(1000));
    await p.boot(file);
    await refused(p, /odd\.img: the image is truncated/);
  });

  onPage("a kernel that is none, and an initial RAM disk without one", async (p) => {
    const file = path.join(browser.dir, "vmlinuz-none");
    fs.writeFileSync(file, Buffer.alloc(4096));
    const initrd = path.join(browser.dir, "initrd-alone");
    fs.writeFileSync(initrd, Buffer.alloc(4096));
    await p.boot(initrd);
    await refused(p, /initrd-alone: an initial RAM disk needs a kernel/);
    await p.boot(file);
    await refused(p, /vmlinuz-none: not a Linux kernel/);
    const empty = path.join(browser.dir, "vmlinuz-empty");
    fs.writeFileSync(empty, "");
    await p.page.click('#file-list button[aria-label="Remove vmlinuz-none"]');
    await p.boot(empty);
    await refused(p, /vmlinuz-empty: is empty/);
  });

  onPage("two files for one drive", async (p) => {
    await p.choose(echo, blank);
    await p.page.select("#file-list li:nth-child(2) select", "hda");
    await p.page.click("#start");
    await refused(p, /echo\.img and blank\.img are both chosen as: Hard disk/);
  });

  onPage("more memory than the browser gives", async (p) => {
    await p.page.evaluate(() => window.oriel.start({ hda: new Blob([new Uint8Array(512)]), memoryMiB: 5000 }));
    await refused(p, /memory/);
  });

  onPage("a browser without WebAssembly", async (p) => {
    await p.page.evaluate(() => Reflect.deleteProperty(window, "WebAssembly"));
    await p.boot(blank);
    await refused(p, /no WebAssembly/);
  });
});

describe("Debian's guests", () => {
  onPage("a disk boots to GRUB's menu, which the keyboard moves in", async (p) => {
    await p.boot(guest("demo.img"));
    await p.screen("GNU GRUB");
    await p.screen(/\*Oriel demo: Linux, 64-bit/);
    await p.screenshot("grub");
    await p.page.keyboard.press("ArrowDown");
    await p.screen(/\*Oriel demo: Linux, 32-bit/);
  });

  onPage("a CD boots by El Torito", async (p) => {
    await p.boot(guest("rescue.iso"));
    assert.deepEqual(await p.page.$$eval("#file-list select", (all) => all.map((s) => s.value)), ["cdrom"]);
    await p.screen("GNU GRUB");
    await p.screenshot("rescue cd");
  });
});

describe("a server that lacks something", () => {
  /** A copy of the page without some files, served. @param {(dir: string) => void} spoil
   * @param {(p: import("./harness.mjs").OrielPage) => Promise<void>} body */
  async function withPage(spoil, body) {
    const dir = fs.mkdtempSync(path.join(browser.dir, "page-"));
    for (const name of fs.readdirSync(path.join(path.dirname(NODE_COMMAND), "page"))) {
      const file = path.join(path.dirname(NODE_COMMAND), "page", name);
      if (fs.statSync(file).isFile()) fs.copyFileSync(file, path.join(dir, name));
    }
    spoil(dir);
    const other = await Browser.open({ dir });
    try {
      await body(await other.page());
    } finally {
      await other.close();
    }
  }

  test("without the core there is a clear error", () =>
    withPage(
      (dir) => fs.rmSync(path.join(dir, "oriel.wasm")),
      async (p) => {
        await p.boot(blank);
        await p.state("failed");
        assert.match(await p.text("#error-text"), /oriel\.wasm cannot be fetched: the server says 404/);
      },
    ));

  test("without the worker there is a clear error", () =>
    withPage(
      (dir) => fs.rmSync(path.join(dir, "worker.js")),
      async (p) => {
        await p.boot(blank);
        await p.state("failed");
        assert.match(await p.text("#error-text"), /worker failed/);
        assert.match(await p.text("#error-detail"), /worker\.js cannot be loaded/);
      },
    ));

  test("with a core that fails the page says whose fault it is", () =>
    withPage(
      // An empty module: it has none of the core's exports.
      (dir) => fs.writeFileSync(path.join(dir, "oriel.wasm"), Buffer.from("0061736d01000000", "hex")),
      async (p) => {
        await p.boot(blank);
        await p.state("failed");
        assert.match(await p.text("#error-text"), /a bug in Oriel, not in the guest/);
      },
    ));

  test("without cross-origin isolation the page works, and says what is lost", async () => {
    const root = path.join(path.dirname(NODE_COMMAND), "page");
    const types = /** @type {Record<string, string>} */ ({ ".js": "text/javascript", ".css": "text/css", ".html": "text/html" });
    const server = http.createServer((request, response) => {
      const file = path.join(root, request.url === "/" ? "index.html" : path.basename(request.url ?? ""));
      if (!fs.existsSync(file)) return response.writeHead(404).end();
      response.setHeader("Content-Type", types[path.extname(file)] ?? "application/octet-stream");
      return fs.createReadStream(file).pipe(response);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    const p = await browser.page(`http://127.0.0.1:${port}/`);
    try {
      assert.equal(await p.page.evaluate(() => crossOriginIsolated), false);
      assert.equal(await p.page.$eval("#not-isolated", (e) => e.checkVisibility()), true);
      await p.boot(echo);
      await p.serial("ORIEL-ECHO ");
      await p.page.keyboard.press("KeyA");
      await p.serial("k1e k9e ");
    } finally {
      await p.close();
      server.close();
    }
  });

  test("without a demo the page says so; with one it boots", async () => {
    await withPage(
      () => undefined,
      async (p) => {
        await until("the note", async () => /not built here/.test(await p.text("#demo-note")));
        assert.equal(await p.page.$eval('input[value="files"]', (e) => /** @type {any} */ (e).checked), true);
      },
    );
    await withPage(
      (dir) => {
        fs.mkdirSync(path.join(dir, "demo"));
        fs.copyFileSync(echo, path.join(dir, "demo/demo.img"));
        const manifest = { name: "Echo", hda: "demo.img", memoryMiB: 64 };
        fs.writeFileSync(path.join(dir, "demo/manifest.json"), JSON.stringify(manifest));
      },
      async (p) => {
        await until("the demo's name", async () => (await p.text("#demo-note")) === "Echo");
        assert.equal(await p.page.$eval("#memory", (e) => /** @type {any} */ (e).value), "64");
        await p.page.click("#start");
        await p.serial("ORIEL-ECHO ");
      },
    );
  });
});

describe("a narrow window", () => {
  onPage("nothing is cut off or needs scrolling sideways", async (p) => {
    await p.page.setViewport({ width: 380, height: 800 });
    await p.boot(blank);
    await p.screen("No bootable device");
    const widths = await p.page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.equal(widths[0], widths[1]);
    const canvas = await p.page.$eval("#canvas", (e) => e.getBoundingClientRect().width);
    assert.ok(canvas > 300 && canvas <= 380, `the canvas is ${canvas} wide`);
    await p.screenshot("narrow", true);
  });
});

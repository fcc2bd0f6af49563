// Debian's kernel with an initramfs, booted in the page as a person would: for linux32.test.mjs and linux64.test.mjs,
// which run side by side.
// @ts-check
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, guest, until } from "./harness.mjs";

const BOOT_SECONDS = 1800;
/** The kernel's tests of its own ciphers would be more than half of the boot. */
const APPEND = "console=tty0 console=ttyS0 cryptomgr.notests";

/** @param {string} directory of the guests @param {string} machine what `uname -m` says */
export function bootLinux(directory, machine) {
  /** @type {Browser} */
  let browser;
  before(async () => void (browser = await Browser.open()));
  after(() => browser?.close());

  test(`Debian's ${directory} kernel: commands by keyboard at the serial terminal and at the VGA console`, async () => {
    const p = await browser.page();
    await p.choose(guest(`${directory}/vmlinuz`), guest(`${directory}/initrd`));
    assert.deepEqual(await p.page.$$eval("#file-list select", (all) => all.map((s) => s.value)), ["kernel", "initrd"]);
    await p.page.$eval("#append", (input, text) => void (/** @type {any} */ (input).value = text), APPEND);
    const start = Date.now();
    await p.page.click("#start");
    await p.serial(/Linux version 6\./, BOOT_SECONDS);
    await p.screenshot(`linux ${directory} booting`);
    await p.serial(/# (\x1b\[6n)?$/, BOOT_SECONDS);
    const { instructions } = await p.status();
    const seconds = (Date.now() - start) / 1000;
    console.log(`${directory}: shell after ${seconds.toFixed(1)} s, ${Math.round(instructions / 1e6)} million instructions`);

    await p.page.click("#terminal");
    await p.type("echo $(uname -m) serial-$((6*7))\n");
    await p.serial(`${machine} serial-42`);
    await until("the answer in the terminal", async () => (await p.text(".xterm-rows")).includes("serial-42"));

    await p.screen(/# *\n*$/);
    await p.page.focus("#canvas");
    await p.type('echo "On_$(tty)" VGA-$((6*7))\n');
    await p.screen("On_/dev/tty1 VGA-42");
    await p.screenshot(`linux ${directory}`);

    // Idle, the guest leaves the host alone.
    await until("an idle CPU", async () => (await p.status()).load < 0.2);
    assert.equal((await p.status()).state, "running");

    await p.type("poweroff\n");
    await p.state("poweredOff");
    assert.match(await p.serialText(), /reboot: Power down/);
    assert.deepEqual(p.failures, []);
  });
}

// The parts of web/src that need no machine: options, keys, guesses.
// @ts-check
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { importTypeScript } from "./harness.mjs";

const { parseRunOptions, runHelp, UsageError } = await importTypeScript("node/options.ts");
const { keyStrokes, scanCode } = await importTypeScript("page/keymap.ts");
const { guessKind, placeKind, HEAD_BYTES } = await importTypeScript("page/guess.ts");

describe("options of `oriel run`", () => {
  test("every option reaches its field", () => {
    const line =
      "--kernel k --initrd i --append a=b --hda h --hdb b --virtio v --cdrom c --boot d --snapshot --memory 64 --bios f " +
      "--vgabios g --serial file:s --debugcon stdio --display png:p --stats json:j --max-seconds 1.5 " +
      "--max-instructions 1000 --deterministic --ns-per-insn 7 --hash-every 10 --jit on --verify-jit --test-device --script x";
    assert.deepEqual(parseRunOptions(line.split(" ")), {
      kernel: "k",
      initrd: "i",
      append: "a=b",
      hda: "h",
      hdb: "b",
      virtio: "v",
      cdrom: "c",
      boot: "d",
      snapshot: true,
      memoryMib: 64,
      bios: "f",
      vgabios: "g",
      serial: { kind: "file", path: "s" },
      debugcon: { kind: "stdio" },
      displayPng: "p",
      statsJson: "j",
      maxSeconds: 1.5,
      maxInstructions: 1000,
      deterministic: true,
      nsPerInsn: 7,
      hashEvery: 10,
      jit: "on",
      verifyJit: true,
      testDevice: true,
      script: "x",
      help: false,
    });
  });
  test("a value may follow an equals sign, and have one itself", () => {
    assert.equal(parseRunOptions(["--kernel=k", "--append=root=/dev/sda1"]).append, "root=/dev/sda1");
  });
  test("what is not given has a default", () => {
    const o = parseRunOptions(["--hda", "h"]);
    assert.deepEqual(o.serial, { kind: "stdio" });
    assert.equal(o.memoryMib, 512);
    assert.equal(o.snapshot, false);
    assert.equal(o.displayPng, undefined);
  });
  const wrong = /** @type {[string, RegExp][]} */ ([
    ["", /nothing to boot/],
    ["x", /'x' is not an option/],
    ["--hda", /--hda needs a value/],
    ["--nonsense 1", /no option --nonsense/],
    ["--snapshot=1", /--snapshot takes no value/],
    ["--initrd i", /--initrd needs --kernel/],
    ["--append a --hda h", /--append needs --kernel/],
    ["--hda h --memory 3", /not between 4 and 3072/],
    ["--hda h --memory 3073", /not between/],
    ["--hda h --memory 5.5", /not a positive whole number/],
    ["--hda h --memory 1e3", /not a positive whole number/],
    ["--hda h --max-seconds 0", /not a positive number/],
    ["--hda h --max-seconds -1", /not a positive number/],
    ["--hda h --boot a", /not c or d/],
    ["--hda h --serial tty", /not stdio, file:FILE or none/],
    ["--hda h --serial file:", /not stdio, file:FILE or none/],
    ["--hda h --display x", /not png:FILE/],
    ["--hda h --stats json:", /not json:FILE/],
    ["--hda h --hash-every 5", /--hash-every needs --deterministic/],
  ]);
  for (const [line, message] of wrong) {
    test(`refused in one line: '${line}'`, () => {
      assert.throws(
        () => parseRunOptions(line === "" ? [] : line.split(" ")),
        (/** @type {any} */ error) => error instanceof UsageError && message.test(error.message) && !error.message.includes("\n"),
      );
    });
  }
  test("the help names every option", () => {
    const help = runHelp();
    for (const name of "kernel initrd append hda cdrom memory serial display max-seconds deterministic stats".split(" ")) {
      assert.match(help, new RegExp(`^  --${name}\\b`, "m"));
    }
    assert.equal(parseRunOptions(["--help"]).help, true);
  });
});

describe("keys", () => {
  const codes = /** @type {[string, number][]} */ ([
    ["Escape", 0x01],
    ["Digit1", 0x02],
    ["Equal", 0x0d],
    ["Backspace", 0x0e],
    ["Tab", 0x0f],
    ["KeyQ", 0x10],
    ["Enter", 0x1c],
    ["ControlLeft", 0x1d],
    ["KeyA", 0x1e],
    ["Backquote", 0x29],
    ["ShiftLeft", 0x2a],
    ["Backslash", 0x2b],
    ["Slash", 0x35],
    ["ShiftRight", 0x36],
    ["NumpadMultiply", 0x37],
    ["Space", 0x39],
    ["CapsLock", 0x3a],
    ["F1", 0x3b],
    ["F10", 0x44],
    ["NumLock", 0x45],
    ["ScrollLock", 0x46],
    ["Numpad7", 0x47],
    ["NumpadSubtract", 0x4a],
    ["NumpadAdd", 0x4e],
    ["Numpad3", 0x51],
    ["Numpad0", 0x52],
    ["NumpadDecimal", 0x53],
    ["IntlBackslash", 0x56],
    ["F11", 0x57],
    ["F12", 0x58],
    ["NumpadEnter", 0xe01c],
    ["ControlRight", 0xe01d],
    ["NumpadDivide", 0xe035],
    ["PrintScreen", 0xe037],
    ["AltRight", 0xe038],
    ["Pause", 0xe046],
    ["Home", 0xe047],
    ["ArrowUp", 0xe048],
    ["PageUp", 0xe049],
    ["ArrowLeft", 0xe04b],
    ["ArrowRight", 0xe04d],
    ["End", 0xe04f],
    ["ArrowDown", 0xe050],
    ["PageDown", 0xe051],
    ["Insert", 0xe052],
    ["Delete", 0xe053],
    ["MetaLeft", 0xe05b],
    ["ContextMenu", 0xe05d],
  ]);
  test("codes by the table of the Keyboard Scan Code Specification", () => {
    for (const [code, scan] of codes) assert.equal(scanCode(code), scan, code);
    assert.equal(scanCode("Fn"), undefined);
    assert.equal(scanCode(""), undefined);
  });
  test("text is typed on a US keyboard", () => {
    const shorthand = (/** @type {string} */ text) =>
      keyStrokes(text).map((/** @type {any} */ s) => `${s.down ? "+" : "-"}${s.code.toString(16)}`).join(" ");
    assert.equal(shorthand("a"), "+1e -1e");
    assert.equal(shorthand("A"), "+2a +1e -1e -2a");
    assert.equal(shorthand("\r\n"), "+1c -1c");
    assert.equal(shorthand("\t "), "+f -f +39 -39");
    assert.equal(shorthand("|~"), "+2a +2b -2b -2a +2a +29 -29 -2a");
    assert.equal(shorthand("é\0"), "");
  });
  test("every printable character can be typed", () => {
    for (let c = 0x20; c < 0x7f; c++) assert.ok(keyStrokes(String.fromCharCode(c)).length >= 2, String.fromCharCode(c));
  });
});

describe("what a file is for", () => {
  /** @param {[number, string][]} marks */
  const head = (...marks) => {
    const bytes = new Uint8Array(HEAD_BYTES);
    for (const [at, text] of marks) for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
    return bytes;
  };
  const BOOT = /** @type {[number, string]} */ ([510, "\x55\xaa"]);
  const cases = /** @type {[string, string, Uint8Array, string][]} */ ([
    ["a bzImage by its header", "something", head([0x202, "HdrS"], BOOT), "kernel"],
    ["an ISO image by its volume descriptor", "x.img", head([0x8001, "CD001"]), "cdrom"],
    ["a hybrid ISO image", "x.iso", head([0x8001, "CD001"], BOOT), "cdrom"],
    ["a cpio archive", "x.bin", head([0, "070701"]), "initrd"],
    ["a compressed initrd by its name", "initrd.img-6.1.0", head([0, "\x1f\x8b"]), "initrd"],
    ["something compressed", "root", head([0, "\x28\xb5\x2f\xfd"]), "initrd"],
    ["a disk with a boot sector", "x", head(BOOT), "hda"],
    ["a compressed-looking disk with a boot sector", "x", head([0, "BZh"], BOOT), "hda"],
    ["an empty disk", "blank.raw", head(), "hda"],
    ["anything else", "notes.txt", new Uint8Array(10), "hda"],
    ["a kernel by its name", "vmlinuz-6.1", head(), "kernel"],
  ]);
  for (const [what, name, bytes, kind] of cases) test(what, () => assert.equal(guessKind(name, bytes), kind));
  test("another disk goes where there is room", () => {
    assert.equal(placeKind("hda", []), "hda");
    assert.equal(placeKind("hda", ["hda"]), "hdb");
    assert.equal(placeKind("hda", ["hda", "hdb"]), "virtio");
    assert.equal(placeKind("cdrom", ["hda"]), "cdrom");
  });
});

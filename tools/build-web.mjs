// Bundles the Node command and the page with esbuild, and puts what they load at run time beside them:
//   build/web/oriel.mjs     the Node command, with compile_worker.mjs
//   build/web/page/         the page: index.html, page.js and page.css, worker.js, compile_worker.js, oriel.wasm, the firmware
// @ts-check
import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";

const USAGE = `Usage: node tools/build-web.mjs [--wasm F] [--watch]

Bundles the Node command to build/web/oriel.mjs and the page to build/web/page/.

  --wasm F    the core; default build/wasm/oriel.wasm
  --watch     stay, and bundle again what changes
`;

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OUT = path.join(ROOT, "build/web");
const PAGE = path.join(OUT, "page");
const FIRMWARE = ["/usr/share/seabios/bios-256k.bin", "/usr/share/seabios/vgabios-stdvga.bin"];

/** @param {string} text @returns {never} */
function fail(text) {
  process.stderr.write(`build-web: ${text}\n`);
  process.exit(2);
}

/** @param {string[]} args */
function parse(args) {
  const o = { wasm: path.join(ROOT, "build/wasm/oriel.wasm"), watch: false };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--help" || args[i] === "-h") {
      process.stdout.write(USAGE);
      process.exit(0);
    } else if (args[i] === "--watch") o.watch = true;
    else if (args[i] === "--wasm" && i + 1 < args.length) o.wasm = path.resolve(args[++i] ?? "");
    else fail(`'${args[i]}' is not an option (see --help)`);
  }
  return o;
}

/** @param {string} file @param {string} hint what to do when it is not there */
function needed(file, hint) {
  if (!fs.existsSync(file)) fail(`there is no ${file}: ${hint}`);
  return file;
}

const o = parse(process.argv.slice(2));
const assets = [
  needed(o.wasm, "build it first (cmake --preset wasm && cmake --build build/wasm)"),
  ...FIRMWARE.map((file) => needed(file, "it is in Debian's package seabios (apt-get install seabios)")),
  path.join(ROOT, "web/src/page/index.html"),
];
const esbuild = await import("esbuild").catch(() => fail("esbuild is not installed: npm ci"));

/** @type {import("esbuild").BuildOptions} */
const common = {
  absWorkingDir: ROOT,
  bundle: true,
  format: "esm",
  target: "es2022",
  sourcemap: "linked",
  legalComments: "eof",
  logLevel: "warning",
};
/** @type {import("esbuild").BuildOptions[]} */
const bundles = [
  {
    ...common,
    entryPoints: { oriel: "web/src/node/main.ts", compile_worker: "web/src/node/compile_worker.ts" },
    outdir: OUT,
    platform: "node",
    outExtension: { ".js": ".mjs" },
    // pngjs is CommonJS and asks for Node's own modules with require().
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  },
  {
    ...common,
    entryPoints: [
      { in: "web/src/page/page.ts", out: "page" },
      { in: "web/src/page/page.css", out: "page" },
      { in: "web/src/worker/worker.ts", out: "worker" },
      { in: "web/src/worker/compile_worker.ts", out: "compile_worker" },
    ],
    outdir: PAGE,
    platform: "browser",
  },
];

fs.mkdirSync(PAGE, { recursive: true });
for (const file of assets) fs.copyFileSync(file, path.join(PAGE, path.basename(file)));
for (const options of bundles) {
  if (o.watch) await (await esbuild.context(options)).watch();
  else await esbuild.build(options).catch(() => process.exit(1)); // esbuild has said what is wrong
}
process.stdout.write(`build-web: ${o.watch ? "watching; " : ""}build/web/oriel.mjs and build/web/page/\n`);

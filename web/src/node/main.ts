// The Node command: `oriel run`, `oriel bench` and `oriel serve`.
import { fileURLToPath } from "node:url";

import { nodeBench } from "./bench.ts";
import { EXIT, parseRunOptions, runHelp, UsageError } from "./options.ts";
import { run } from "./run.ts";
import { serve, serveHelp } from "./serve.ts";

const USAGE = `Usage: oriel COMMAND [OPTION]...

  run     boot a PC in the terminal          oriel run --help
  bench   measure how fast it computes       oriel bench --help
  serve   serve the page to a browser        oriel serve --help
`;

async function main(args: string[]): Promise<number> {
  const [command, ...rest] = args;
  // The bundle lies in build/web, the module in build/wasm and, for the page, beside the page.
  const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  if (command === "run") {
    const options = parseRunOptions(rest);
    if (!options.help) return run(options, here("./page/oriel.wasm"));
    process.stdout.write(runHelp());
  } else if (command === "bench") {
    return nodeBench(rest, here("./page/oriel.wasm"));
  } else if (command === "serve") {
    if (rest.includes("--help") || rest.includes("-h")) process.stdout.write(serveHelp());
    else return serve(rest, here("./page"));
  } else if (command === "--help" || command === "-h" || command === "help") {
    process.stdout.write(USAGE);
  } else {
    throw new UsageError(command === undefined ? "which command? (see 'oriel --help')" : `there is no command '${command}' (see 'oriel --help')`);
  }
  return 0;
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    if (error instanceof UsageError) {
      process.stderr.write(`oriel: ${error.message}\n`);
      process.exit(EXIT.usage);
    }
    process.stderr.write(`oriel: this should not happen: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);

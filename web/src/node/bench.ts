// `oriel bench` under Node.
import { performance } from "node:perf_hooks";

import { bench } from "../bench.ts";
import { LogLevel, MachineError } from "../core.ts";
import { compileCore } from "./engine.ts";
import { readInput } from "./files.ts";
import { UsageError } from "./options.ts";

export async function nodeBench(args: string[], wasmPath: string): Promise<number> {
  const module = await compileCore(wasmPath);
  const complain = (text: string) => void process.stderr.write(`oriel: ${text}\n`);
  try {
    return await bench(
      module,
      {
        name: "node",
        nowNs: () => performance.now() * 1e6,
        wallClockSeconds: () => Date.now() / 1000,
        cpuNs: () => {
          const { user, system } = process.cpuUsage();
          return (user + system) * 1000;
        },
        log: (level, text) => {
          if (level <= LogLevel.Warn) complain(text);
        },
        serialOutput: () => undefined,
        debugOutput: () => undefined,
        readFile: readInput,
        print: (text) => void process.stdout.write(text),
        complain,
      },
      args,
    );
  } catch (error) {
    if (error instanceof MachineError) throw new UsageError(error.message);
    throw error;
  }
}

// V8 as the core needs it.
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";

import { CompilerThread, pays, type Thread } from "../compiler.ts";
import { readWhole } from "./files.ts";

/**
 * The core's module. What is compiled after it is the guest's code, for which V8 is set to do what it does by itself from
 * Chrome 120 on: calls on paths marked as unlikely cost the others nothing, and the optimising compiler takes what has run
 * for longer. A V8 that does not have a flag ignores it. The gain is in docs/decisions/tier1.md.
 */
export async function compileCore(path: string): Promise<WebAssembly.Module> {
  const module = await WebAssembly.compile(readWhole(path) as Uint8Array<ArrayBuffer>);
  setFlagsFromString("--experimental-wasm-branch-hinting");
  setFlagsFromString("--wasm-tiering-budget=15000000");
  return module;
}

function startThread(): Thread {
  const worker = new Worker(new URL("./compile_worker.mjs", import.meta.url));
  worker.unref();
  return {
    postMessage: (task) => worker.postMessage(task),
    receive: (take) => void worker.on("message", take),
    lost: (tell) => {
      worker.on("error", (error) => tell(error.message));
      worker.on("messageerror", (error) => tell(error.message));
      worker.on("exit", (code) => tell(`exit status ${code}`));
    },
  };
}

/** Where it pays, or `jit` (--jit) asks for it. */
export function compilerThread(jit: string | undefined, complain: (text: string) => void): CompilerThread | undefined {
  const wanted = jit?.split(",").includes("worker=1") ?? false;
  return wanted || pays(availableParallelism()) ? new CompilerThread(startThread, complain) : undefined;
}

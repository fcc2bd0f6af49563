// The compiling thread under Node: build/web/compile_worker.mjs.
import { parentPort } from "node:worker_threads";

import { CompilingEnd } from "../compiler.ts";

const end = new CompilingEnd((result) => parentPort?.postMessage(result));
parentPort?.on("message", (task: Parameters<CompilingEnd["take"]>[0]) => end.take(task));

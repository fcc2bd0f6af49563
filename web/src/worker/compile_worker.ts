// The compiling thread in a browser: a worker of the CPU worker's.
import { CompilingEnd } from "../compiler.ts";

const scope = self as unknown as DedicatedWorkerGlobalScope;
const end = new CompilingEnd((result) => scope.postMessage(result));
scope.onmessage = (event: MessageEvent<Parameters<CompilingEnd["take"]>[0]>) => end.take(event.data);

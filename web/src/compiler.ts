// The thread that compiles what the core has made of the guest's code, so that the CPU's does not: bytes go there, and the
// module comes back. Both ends, for Node's workers and the web's alike.
import { JIT_IMPORTS, type Compiler } from "./core.ts";

interface Task {
  id: number;
  bytes: Uint8Array;
}
interface Result {
  id: number;
  module: WebAssembly.Module | undefined;
  ms: number;
}

/**
 * Whether a thread for compilation pays: the machine's thread and those on which the engine optimises keep two processors
 * busy (docs/decisions/tier1.md).
 */
export const pays = (processors: number): boolean => processors > 2;

/** A worker of either kind, as far as it is needed here. */
export interface Thread {
  postMessage(message: Task): void;
  /** Calls back for each message. */
  receive(take: (result: Result) => void): void;
  /** Calls back when the thread is lost. */
  lost(tell: (why: string) => void): void;
}

/** The end on the CPU's thread. */
export class CompilerThread implements Compiler {
  alive = true;
  private last = 0;
  private thread: Thread | undefined;
  private readonly waiting = new Map<number, (module: WebAssembly.Module | undefined, ms: number) => void>();

  constructor(
    private readonly makeThread: () => Thread,
    private readonly complain: (text: string) => void,
  ) {}

  get busy(): boolean {
    return this.waiting.size > 0;
  }

  start(): void {
    if (this.thread) return;
    const thread = this.makeThread();
    thread.receive(({ id, module, ms }) => this.finish(id, module, ms));
    thread.lost((why) => {
      if (!this.alive) return;
      this.alive = false;
      this.complain(`the compiling thread is lost, and the CPU's thread compiles what the guest runs: ${why}`);
      for (const id of [...this.waiting.keys()]) this.finish(id, undefined, 0);
    });
    this.thread = thread;
  }

  compile(bytes: Uint8Array, done: (module: WebAssembly.Module | undefined, ms: number) => void): void {
    this.waiting.set(++this.last, done);
    this.start();
    this.thread?.postMessage({ id: this.last, bytes });
  }

  private finish(id: number, module: WebAssembly.Module | undefined, ms: number): void {
    const done = this.waiting.get(id);
    this.waiting.delete(id);
    done?.(module, ms);
  }
}

/** The end on the thread itself: `send` answers what take() is given. */
export class CompilingEnd {
  private readonly imports: Record<string, WebAssembly.ImportValue>;

  constructor(private readonly send: (result: Result) => void) {
    // One page: none of the core's data lies so low.
    this.imports = { m: new WebAssembly.Memory({ initial: 1 }) };
    for (const name of [...JIT_IMPORTS, "go"]) this.imports[name] = () => 0;
    Error.stackTraceLimit = 0;
  }

  take({ id, bytes }: Task): void {
    const start = performance.now();
    let module: WebAssembly.Module | undefined;
    try {
      module = new WebAssembly.Module(bytes as BufferSource);
      this.compileFunctions(module);
    } catch {
      // The CPU's thread tries it as well, and says what is wrong.
    }
    this.send({ id, module, ms: performance.now() - start });
  }

  /**
   * Engines compile a function when it is called first, and keep what they made with the module. Each of these traps at
   * its first access, for the memory that it gets here does not have the address.
   */
  private compileFunctions(module: WebAssembly.Module): void {
    for (const unit of Object.values(new WebAssembly.Instance(module, { o: this.imports }).exports)) {
      try {
        (unit as () => number)();
      } catch {
        // As it should.
      }
    }
  }
}

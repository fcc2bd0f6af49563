// `oriel bench` over oriel.wasm, in Node and in a page: the core has the options, the payloads and the figures
// (src/bench/command.h); here each payload gets an instance of the module, so that none finds the memory or the compiled
// code of the one before.
import { give, instantiate, MachineError, type CoreHost, type Exports } from "./core.ts";

/** What the benchmark asks of its host, and tells it. */
export interface BenchHost extends CoreHost {
  /** What the results call it: "node", "browser". */
  readonly name: string;
  /** Reads the file of --raw; throws when it cannot be. */
  readFile(path: string): Uint8Array;
  /** Lines for standard output, and one error each, as they come. */
  print(text: string): void;
  complain(text: string): void;
}

/** An instance, and texts to and from it. */
class Bench {
  private readonly decoder = new TextDecoder();

  constructor(readonly exports: Exports) {}

  text(p: number): string {
    return this.decoder.decode(new Uint8Array(this.exports.memory.buffer, p >>> 0, this.exports.oriel_text_size()));
  }

  check(errorText: number): void {
    const error = this.text(errorText);
    if (error) throw new MachineError(error);
  }

  /** Hands a text to a function of the core. */
  give<T>(text: string, f: (p: number, n: number) => T): T {
    return give(this.exports, new TextEncoder().encode(text), "not enough memory", f);
  }

  static async create(module: WebAssembly.Module, host: BenchHost, args: string[]): Promise<Bench> {
    const bench = new Bench(await instantiate(module, host, []));
    const list = args.map((a) => `${a}\0`).join("");
    bench.check(bench.give(list, (p, n) => bench.exports.oriel_bench_options(p, n, 1)));
    return bench;
  }

  /** Makes ready to measure number `n` of the payloads, of which a file is one. */
  start(n: number, host: BenchHost): void {
    const file = this.text(this.exports.oriel_bench_file());
    if (file) {
      const bytes = host.readFile(file);
      const p = this.exports.oriel_bench_payload(bytes.length) >>> 0;
      if (p === 0) throw new MachineError(`${file}: is too long`);
      new Uint8Array(this.exports.memory.buffer, p, bytes.length).set(bytes);
    }
    this.check(this.exports.oriel_bench_create(n));
  }
}

const TURN_NS = 50e6;

/**
 * Measures what the arguments say (`oriel bench --help`) and returns the exit status; throws a MachineError for a
 * wrong call. The event loop gets its turn every now and then. In a page, call it in a worker: the core compiles code
 * synchronously, which browsers do not let their main thread do.
 */
export async function bench(module: WebAssembly.Module, host: BenchHost, args: string[]): Promise<number> {
  const first = await Bench.create(module, host, args);
  const help = first.text(first.exports.oriel_bench_help());
  if (help) {
    host.print(help);
    return 0;
  }
  const cases = first.exports.oriel_bench_cases();
  const json = first.exports.oriel_bench_wants_json() !== 0;
  let head = json ? "" : first.text(first.exports.oriel_bench_head());
  let status = 0;
  const results: string[] = [];
  for (let n = 0; n < cases; n++) {
    const b = n === 0 ? first : await Bench.create(module, host, args);
    b.start(n, host);
    for (let turn = host.nowNs(); b.exports.oriel_bench_step(); ) {
      if (host.nowNs() - turn < TURN_NS) continue;
      await new Promise((resolve) => setTimeout(resolve));
      turn = host.nowNs();
    }
    const ended = b.exports.oriel_bench_status();
    if (ended !== 0) {
      status = ended;
      host.complain(b.text(b.exports.oriel_bench_failure()));
    }
    if (!b.exports.oriel_bench_measured()) continue;
    const jit = b.exports.oriel_bench_jit() >>> 0;
    const [units = 0, ns = 0, hits = 0, misses = 0, deopts = 0] = new Float64Array(b.exports.memory.buffer, jit, 5);
    first.exports.oriel_bench_jit_add(units, ns, hits, misses, deopts);
    if (json) {
      results.push(b.give(host.name, (p, size) => b.text(b.exports.oriel_bench_json(p, size))));
    } else {
      host.print(head + b.text(b.exports.oriel_bench_row()));
      head = "";
    }
  }
  if (!json && head === "") host.print(first.text(first.exports.oriel_bench_jit_line()));
  if (results.length > 0) {
    const all = results.join(",\n");
    host.print(`${first.give(all, (p, size) => first.text(first.exports.oriel_bench_document(p, size)))}\n`);
  }
  return status;
}

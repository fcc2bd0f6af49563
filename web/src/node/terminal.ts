// The serial port on the terminal: raw mode, the Ctrl-A commands, and output that leaves in order.
import * as fs from "node:fs";

import type { SerialTarget } from "./options.ts";

const CTRL_A = 1;

const HELP = [
  "Ctrl-A x  quit (the disks are flushed)",
  "Ctrl-A p  press the power button",
  "Ctrl-A r  reset the machine",
  "Ctrl-A s  print the state of the CPU",
  "Ctrl-A a  send Ctrl-A",
];

export interface TerminalCommands {
  quit(): void;
  power(): void;
  reset(): void;
  dump(): string;
}

/** Standard input as serial input: bytes wait here until the guest's port takes them. */
export class TerminalInput {
  private readonly chunks: Uint8Array[] = [];
  private escaped = false;

  constructor(
    private readonly commands: TerminalCommands,
    private readonly wake: () => void,
  ) {
    const stdin = process.stdin;
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on("data", (data: Buffer) => this.receive(data));
    stdin.on("error", () => undefined); // no input any more, like its end
    stdin.resume();
  }

  private receive(data: Buffer): void {
    // A pipe is sent as it is; the commands are for a person.
    const bytes = process.stdin.isTTY ? this.takeCommands(data) : data;
    if (bytes.length > 0) this.chunks.push(bytes);
    this.wake();
  }

  private takeCommands(data: Buffer): Uint8Array {
    const out: number[] = [];
    for (const byte of data) {
      if (!this.escaped) {
        if (byte === CTRL_A) this.escaped = true;
        else out.push(byte);
        continue;
      }
      this.escaped = false;
      const say = (text: string) => process.stderr.write(`\r\n${text.replace(/\n/g, "\r\n")}\r\n`);
      const key = String.fromCharCode(byte);
      if (key === "x") this.commands.quit();
      else if (key === "p") this.commands.power();
      else if (key === "r") this.commands.reset();
      else if (key === "s") say(this.commands.dump());
      else if (key === "a" || byte === CTRL_A) out.push(CTRL_A);
      else say(HELP.join("\n"));
    }
    return Uint8Array.from(out);
  }

  /** Gives waiting bytes to `take`, which returns how many it took. */
  drain(take: (bytes: Uint8Array) => number): void {
    for (let first = this.chunks[0]; first; first = this.chunks[0]) {
      const n = take(first);
      if (n === first.length) this.chunks.shift();
      else {
        this.chunks[0] = first.subarray(n);
        if (n === 0) return;
      }
    }
  }

  get waiting(): boolean {
    return this.chunks.length > 0;
  }

  close(): void {
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}

/** Where a port's bytes go. They are collected and written once a slice. */
export class ByteSink {
  private buffer: Buffer = Buffer.alloc(4096);
  private used = 0;

  private constructor(
    private readonly fd: number | undefined,
    private readonly stream: NodeJS.WriteStream | undefined,
  ) {}

  static open(target: SerialTarget, stream: NodeJS.WriteStream, openFile: (path: string) => number): ByteSink {
    if (target.kind === "file") return new ByteSink(openFile(target.path), undefined);
    return new ByteSink(undefined, target.kind === "stdio" ? stream : undefined);
  }

  add(bytes: Uint8Array): void {
    if (this.fd === undefined && !this.stream) return;
    if (this.used + bytes.length > this.buffer.length) {
      const larger = Buffer.alloc(2 * (this.used + bytes.length));
      this.buffer.copy(larger, 0, 0, this.used);
      this.buffer = larger;
    }
    this.buffer.set(bytes, this.used);
    this.used += bytes.length;
  }

  flush(): void {
    if (this.used === 0) return;
    const bytes = Buffer.from(this.buffer.subarray(0, this.used));
    this.used = 0;
    if (this.fd !== undefined) fs.writeSync(this.fd, bytes);
    else this.stream?.write(bytes);
  }

  /** Resolves when everything has left. */
  async close(): Promise<void> {
    this.flush();
    if (this.fd !== undefined) fs.closeSync(this.fd);
    const stream = this.stream;
    if (stream) await new Promise<void>((resolve) => stream.write("", () => resolve()));
  }
}

// Files for the machine: firmware and kernels read whole, images opened in place, and the lock that keeps
// two runs from writing one image.
import * as fs from "node:fs";

import type { ByteStore } from "../core.ts";
import { UsageError } from "./options.ts";

const REASONS: Record<string, string> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "is a directory",
  ENOTDIR: "a part of its path is not a directory",
  ENOSPC: "no space left",
  EROFS: "the file system is read-only",
  ELOOP: "too many symbolic links",
};

function code(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}

/** The error of a file operation as one line for a person. */
export function fileError(path: string, error: unknown): UsageError {
  return new UsageError(`${path}: ${REASONS[code(error)] ?? (error as Error).message}`);
}

export function readWhole(path: string): Uint8Array {
  try {
    return fs.readFileSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

/** Firmware: never empty. */
export function readInput(path: string): Uint8Array {
  const bytes = readWhole(path);
  if (bytes.length === 0) throw new UsageError(`${path}: is empty`);
  return bytes;
}

/** Opens a file to be written at the end, or as the guest runs. */
export function openOutput(path: string): number {
  try {
    return fs.openSync(path, "w");
  } catch (error) {
    throw fileError(path, error);
  }
}

export function writeWhole(path: string, data: Uint8Array | string): void {
  try {
    fs.writeFileSync(path, data);
  } catch (error) {
    throw fileError(path, error);
  }
}

/** Throws unless a file could be created or replaced at `path`; touches nothing. */
export function checkOutput(path: string): void {
  try {
    if (fs.existsSync(path)) {
      if (fs.statSync(path).isDirectory()) throw new UsageError(`${path}: is a directory`);
      fs.accessSync(path, fs.constants.W_OK);
    } else {
      fs.accessSync(path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : ".", fs.constants.W_OK);
    }
  } catch (error) {
    throw error instanceof UsageError ? error : fileError(path, error);
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return code(error) === "EPERM";
  }
}

/** What a lock file says: its process, and whether that lives. Undefined when there is no lock. */
function holder(lockPath: string): { text: string; pid: number; alive: boolean } | undefined {
  try {
    const text = fs.readFileSync(lockPath, "utf8");
    const pid = /^[0-9]+\s*$/.test(text) ? Number(text) : 0;
    return { text, pid, alive: pid > 0 && alive(pid) };
  } catch (error) {
    if (code(error) === "ENOENT") return undefined;
    throw fileError(lockPath, error);
  }
}

/**
 * IMAGE.lock, which holds a process id. A lock whose process is gone is taken away by renaming it, and put back
 * if it was another by then.
 */
class Lock {
  private constructor(private readonly path: string) {}

  static take(image: string): Lock {
    const path = `${fs.realpathSync(image)}.lock`;
    for (let tries = 0; tries < 10; tries++) {
      try {
        fs.writeFileSync(path, `${process.pid}\n`, { flag: "wx" });
        return new Lock(path);
      } catch (error) {
        if (code(error) !== "EEXIST") {
          throw new UsageError(`${image}: cannot be locked: ${fileError(path, error).message}`);
        }
      }
      const held = holder(path);
      if (held?.alive) throw Lock.inUse(image, held.pid, path);
      if (held && held.pid > 0) Lock.removeStale(path, held.text);
      else if (held) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50); // its maker is about to write it
    }
    throw new UsageError(`${image}: locked, and ${path} does not say by whom; remove it if nothing uses the image`);
  }

  static inUse(image: string, pid: number, lockPath: string): UsageError {
    const who = pid === process.pid ? "this run, as another disk" : `process ${pid}`;
    return new UsageError(`${image}: in use by ${who} (${lockPath})`);
  }

  private static removeStale(path: string, staleText: string): void {
    const aside = `${path}.${process.pid}.stale`;
    try {
      fs.renameSync(path, aside);
      if (fs.readFileSync(aside, "utf8") !== staleText) fs.linkSync(aside, path);
      fs.rmSync(aside, { force: true });
    } catch (error) {
      if (code(error) !== "ENOENT" && code(error) !== "EEXIST") throw fileError(path, error);
    }
  }

  release(): void {
    fs.rmSync(this.path, { force: true });
  }
}

/** An image file, or a kernel or initrd. Opening locks it when it will be written. */
export class ImageFile implements ByteStore {
  readonly size: number;

  private constructor(
    readonly path: string,
    private readonly fd: number,
    readonly writable: boolean,
    private readonly lock: Lock | undefined,
  ) {
    this.size = fs.fstatSync(fd).size;
  }

  static open(path: string, writable: boolean): ImageFile {
    let fd: number;
    try {
      fd = fs.openSync(path, writable ? "r+" : "r");
    } catch (error) {
      const reason = fileError(path, error).message;
      const hint = writable && ["EACCES", "EROFS", "EPERM"].includes(code(error)) ? "; --snapshot only reads it" : "";
      throw new UsageError(reason + hint);
    }
    try {
      const stat = fs.fstatSync(fd);
      if (!stat.isFile()) throw new UsageError(`${path}: ${stat.isDirectory() ? REASONS["EISDIR"] : "not a regular file"}`);
      if (writable) return new ImageFile(path, fd, true, Lock.take(path));
      const lockPath = `${fs.realpathSync(path)}.lock`;
      const held = holder(lockPath);
      if (held?.alive) throw Lock.inUse(path, held.pid, lockPath);
      return new ImageFile(path, fd, false, undefined);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  read(offset: number, into: Uint8Array): boolean {
    try {
      for (let done = 0; done < into.length; ) {
        const n = fs.readSync(this.fd, into, done, into.length - done, offset + done);
        if (n === 0) return false; // the file got shorter
        done += n;
      }
      return true;
    } catch {
      return false;
    }
  }

  write(offset: number, from: Uint8Array): boolean {
    try {
      for (let done = 0; done < from.length; ) {
        done += fs.writeSync(this.fd, from, done, from.length - done, offset + done);
      }
      return true;
    } catch {
      return false;
    }
  }

  flush(): boolean {
    try {
      if (this.writable) fs.fdatasyncSync(this.fd);
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    fs.closeSync(this.fd);
    this.lock?.release();
  }
}

// The bytes of a File or Blob, read synchronously as a worker can, in chunks of which the last used are kept.
import type { ByteStore } from "../core.ts";

const CHUNK = 128 * 1024;
const KEPT_CHUNKS = 128;

export class BlobStore implements ByteStore {
  readonly size: number;
  readonly writable = false;
  private readonly reader = new FileReaderSync();
  /** In order of use, the least recent first. */
  private readonly chunks = new Map<number, Uint8Array>();

  constructor(private readonly blob: Blob) {
    this.size = blob.size;
  }

  read(offset: number, into: Uint8Array): boolean {
    try {
      for (let done = 0; done < into.length; ) {
        const at = offset + done;
        const chunk = this.chunk(Math.floor(at / CHUNK));
        const part = chunk.subarray(at % CHUNK, (at % CHUNK) + into.length - done);
        if (part.length === 0) return false;
        into.set(part, done);
        done += part.length;
      }
      return true;
    } catch {
      return false; // the file was changed, moved or taken away since it was picked
    }
  }

  private chunk(number: number): Uint8Array {
    let chunk = this.chunks.get(number);
    if (chunk) {
      this.chunks.delete(number);
    } else {
      const part = this.blob.slice(number * CHUNK, (number + 1) * CHUNK);
      chunk = new Uint8Array(this.reader.readAsArrayBuffer(part));
      const oldest = this.chunks.keys().next();
      if (this.chunks.size >= KEPT_CHUNKS && !oldest.done) this.chunks.delete(oldest.value);
    }
    this.chunks.set(number, chunk);
    return chunk;
  }

  write(): boolean {
    return false;
  }

  flush(): boolean {
    return true;
  }
}

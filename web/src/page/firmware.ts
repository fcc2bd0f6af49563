// What every machine needs, fetched once: the compiled core and the firmware images.
import type { Firmware } from "../protocol.ts";

/** A failure that has a line for a person. */
export class PageError extends Error {}

export async function fetchOk(url: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new PageError(`${url} cannot be fetched: is the server still there?`);
  }
  if (!response.ok) throw new PageError(`${url} cannot be fetched: the server says ${response.status}`);
  return response;
}

async function fetchBytes(url: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetchOk(url)).arrayBuffer());
}

async function compileCore(): Promise<WebAssembly.Module> {
  if (typeof WebAssembly !== "object") {
    throw new PageError("this browser has no WebAssembly (or it is switched off), which Oriel needs");
  }
  const bytes = await fetchBytes("oriel.wasm");
  try {
    return await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  } catch (error) {
    throw new PageError(
      `this browser cannot compile Oriel: its WebAssembly is too old (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}

let firmware: Promise<Firmware> | undefined;

export function loadFirmware(): Promise<Firmware> {
  firmware ??= Promise.all([compileCore(), fetchBytes("bios-256k.bin"), fetchBytes("vgabios-stdvga.bin")]).then(
    ([module, bios, vgabios]) => ({ module, bios, vgabios }),
    (error: unknown) => {
      firmware = undefined; // the next start tries again
      throw error;
    },
  );
  return firmware;
}

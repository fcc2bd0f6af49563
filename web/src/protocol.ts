// What the page and the CPU worker say to each other.
import type { DiskSlot, ScreenInfo, ScreenRect } from "./core.ts";

export interface NamedBlob {
  /** What error messages call it. */
  name: string;
  blob: Blob;
}

export interface GuestConfig {
  memoryMib: number;
  /** Blobs are read as the guest asks; what it writes stays in the worker's memory. */
  disks: Partial<Record<DiskSlot, NamedBlob>>;
  kernel?: NamedBlob | undefined;
  initrd?: NamedBlob | undefined;
  append?: string | undefined;
  bootOrder?: "c" | "d" | undefined;
  deterministic: boolean;
  /** With `deterministic`: report the state hash every so many instructions. */
  hashEvery?: number | undefined;
  /** Pause after so many instructions. */
  maxInstructions?: number | undefined;
}

export interface Firmware {
  module: WebAssembly.Module;
  bios: Uint8Array;
  vgabios: Uint8Array;
}

/** A key event in scan code set 1, E0xx extended. `afterNs`: of the guest's time since the event before. */
export interface KeyEventMessage {
  code: number;
  down: boolean;
  afterNs: number;
}

export type ToWorker =
  | { type: "start"; firmware: Firmware; config: GuestConfig }
  | { type: "pause" }
  | { type: "resume" }
  | { type: "reset" }
  | { type: "power" }
  | { type: "keys"; events: KeyEventMessage[] }
  | { type: "mouse"; dx: number; dy: number; dz: number; buttons: number }
  | { type: "serial"; bytes: Uint8Array }
  | { type: "frame" }
  /** Undefined: the drive is emptied. */
  | { type: "cd"; cd: NamedBlob | undefined }
  | { type: "disks" }
  | { type: "ask"; id: number; what: Question };

export type Question = "screenText" | "stats" | "dump";

export type RunState = "running" | "paused" | "halted" | "poweredOff" | "tripleFault";

export interface WorkerStatus {
  state: RunState;
  instructions: number;
  /** Instructions in a second of the worker's time since the last status, in millions. */
  mips: number;
  /** The share of that time in which the CPU was busy, 0 to 1. */
  load: number;
  screen: ScreenInfo;
  /** With "tripleFault": the state of the CPU. */
  report: string;
  /** Lines "instructions hash", with `hashEvery`. */
  hashes: string[];
}

export type FromWorker =
  | { type: "started" }
  /** The guest cannot be started: one line for a person. */
  | { type: "refused"; message: string }
  /** Oriel itself failed. */
  | { type: "crashed"; message: string }
  | { type: "status"; status: WorkerStatus }
  | { type: "serial"; bytes: Uint8Array }
  /** The changed rectangles, and their pixels one rectangle after the other. */
  | { type: "frame"; screen: ScreenInfo; rects: ScreenRect[]; pixels: ArrayBuffer }
  /** To "disks": those that the guest wrote to, as they are now. */
  | { type: "disks"; disks: NamedBlob[] }
  /** Something that was asked for could not be done: one line for a person. The machine runs on. */
  | { type: "notice"; message: string }
  | { type: "answer"; id: number; text: string };

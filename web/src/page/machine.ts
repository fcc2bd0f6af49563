// A running machine as the page sees it: its worker, and what the worker says.
import type { Firmware, FromWorker, GuestConfig, NamedBlob, Question, ToWorker, WorkerStatus } from "../protocol.ts";

export interface MachineEvents {
  started(): void;
  status(status: WorkerStatus): void;
  serial(bytes: Uint8Array): void;
  frame(frame: Extract<FromWorker, { type: "frame" }>): void;
  /** The disks that the guest wrote to. */
  disks(disks: NamedBlob[]): void;
  /** Something that was asked for could not be done. */
  notice(message: string): void;
  /** The machine is gone. `detail`: for a report of a bug. */
  failed(message: string, detail?: string): void;
}

export class Machine {
  private readonly worker = new Worker("worker.js", { type: "module" });
  private readonly questions = new Map<number, (text: string) => void>();
  private nextQuestion = 1;
  private frameAsked = false;

  constructor(
    firmware: Firmware,
    config: GuestConfig,
    private readonly events: MachineEvents,
  ) {
    this.worker.onmessage = (event: MessageEvent<FromWorker>) => this.receive(event.data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.fail("the emulator's worker failed", event.message || "worker.js cannot be loaded");
    };
    this.send({ type: "start", firmware, config });
  }

  send(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  ask(what: Question): Promise<string> {
    const id = this.nextQuestion++;
    return new Promise((resolve) => {
      this.questions.set(id, resolve);
      this.send({ type: "ask", id, what });
    });
  }

  /** Asks for what changed on the screen, unless the last answer is still to come. */
  askFrame(): void {
    if (this.frameAsked) return;
    this.frameAsked = true;
    this.send({ type: "frame" });
  }

  stop(): void {
    this.worker.terminate();
    for (const resolve of this.questions.values()) resolve("");
    this.questions.clear();
  }

  private fail(message: string, detail?: string): void {
    this.stop();
    this.events.failed(message, detail);
  }

  private receive(message: FromWorker): void {
    switch (message.type) {
      case "started":
        return this.events.started();
      case "refused":
        return this.fail(message.message);
      case "crashed":
        return this.fail("the emulator failed; this is a bug in Oriel, not in the guest", message.message);
      case "status":
        return this.events.status(message.status);
      case "serial":
        return this.events.serial(message.bytes);
      case "frame":
        this.frameAsked = false;
        return this.events.frame(message);
      case "disks":
        return this.events.disks(message.disks);
      case "notice":
        return this.events.notice(message.message);
      case "answer":
        this.questions.get(message.id)?.(message.text);
        this.questions.delete(message.id);
    }
  }
}

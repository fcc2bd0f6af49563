// The form that says what to boot: the demo, or files of one's own with what each is for.
import type { DiskSlot } from "../core.ts";
import type { GuestConfig } from "../protocol.ts";
import { FILE_KINDS, guessKind, HEAD_BYTES, placeKind, type FileKind } from "./guess.ts";
import { fetchOk, PageError } from "./firmware.ts";

/** demo/manifest.json: files are named relative to it. */
interface Manifest extends Partial<Record<FileKind, string>> {
  name: string;
  memoryMiB?: number;
  append?: string;
}

interface ChosenFile {
  file: File;
  kind: FileKind;
}

const DEMO = "demo/";
const DEFAULT_APPEND = "console=tty0 console=ttyS0";

export function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as T;
}

export function sizeText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  return `${(bytes / 1024 ** power).toLocaleString("en", { maximumFractionDigits: power ? 1 : 0 })} ${units[power]}`;
}

/** What to boot, from blobs by their kind. */
export function guestConfig(
  files: { name: string; kind: FileKind; blob: Blob }[],
  rest: Pick<GuestConfig, "memoryMib" | "append" | "bootOrder">,
): GuestConfig {
  const config: GuestConfig = { disks: {}, deterministic: false, memoryMib: rest.memoryMib };
  const seen = new Map<FileKind, string>();
  for (const { name, kind, blob } of files) {
    const other = seen.get(kind);
    if (other !== undefined) throw new PageError(`${other} and ${name} are both chosen as: ${FILE_KINDS[kind]}`);
    seen.set(kind, name);
    if (kind === "kernel" || kind === "initrd") {
      if (blob.size === 0) throw new PageError(`${name}: is empty`);
      config[kind] = { name, blob };
    } else {
      config.disks[kind satisfies DiskSlot] = { name, blob };
    }
  }
  if (seen.size === 0) throw new PageError("choose a disk, a CD image or a kernel first");
  if (config.initrd && !config.kernel) throw new PageError(`${config.initrd.name}: an initial RAM disk needs a kernel`);
  if (config.kernel) config.append = rest.append ?? "";
  if (!config.kernel && seen.has("cdrom") && seen.size > 1) config.bootOrder = rest.bootOrder;
  return config;
}

export class GuestForm {
  private readonly list = byId<HTMLUListElement>("file-list");
  private readonly memory = byId<HTMLSelectElement>("memory");
  private readonly append = byId<HTMLTextAreaElement>("append");
  private readonly boot = byId<HTMLSelectElement>("boot");
  private readonly demoNote = byId("demo-note");
  private files: ChosenFile[] = [];
  private manifest: Manifest | undefined;
  readonly ready: Promise<void>;

  constructor(private readonly onError: (message: string) => void) {
    this.append.value = DEFAULT_APPEND;
    const input = byId<HTMLInputElement>("file-input");
    byId("choose").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const files = [...(input.files ?? [])];
      input.value = ""; // so that the same file can be chosen again
      void this.add(files);
    });
    for (const radio of this.sources()) radio.addEventListener("change", () => this.show());
    this.watchDrops();
    this.ready = this.findDemo();
    this.show();
  }

  private sources(): HTMLInputElement[] {
    return [...document.querySelectorAll<HTMLInputElement>('input[name="source"]')];
  }

  private get source(): string {
    return this.sources().find((radio) => radio.checked)?.value ?? "files";
  }

  private choose(source: string): void {
    for (const radio of this.sources()) radio.checked = radio.value === source;
    this.show();
  }

  private async findDemo(): Promise<void> {
    try {
      const response = await fetch(`${DEMO}manifest.json`);
      if (!response.ok) throw new Error("none");
      this.manifest = (await response.json()) as Manifest;
      this.demoNote.textContent = this.manifest.name;
      const mib = String(this.manifest.memoryMiB);
      if ([...this.memory.options].some((o) => o.value === mib) && this.source === "demo") this.memory.value = mib;
    } catch {
      this.demoNote.textContent = "not built here (./run --build-only makes it)";
      for (const radio of this.sources()) if (radio.value === "demo") radio.disabled = true;
      if (this.source === "demo") this.choose("files");
    }
  }

  private watchDrops(): void {
    const overlay = byId("drop-overlay");
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    document.addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      overlay.hidden = false;
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) overlay.hidden = true;
    });
    document.addEventListener("drop", (event) => {
      overlay.hidden = true;
      if (!hasFiles(event)) return;
      event.preventDefault();
      void this.add([...(event.dataTransfer?.files ?? [])]);
    });
  }

  private async add(files: File[]): Promise<void> {
    for (const file of files) {
      let head: Uint8Array;
      try {
        head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
      } catch {
        this.onError(`${file.name}: cannot be read (a folder?)`);
        continue;
      }
      const kind = guessKind(file.name, head);
      // A new kernel, initial RAM disk or CD takes the place of the one before.
      if (kind === "kernel" || kind === "initrd" || kind === "cdrom") {
        this.files = this.files.filter((f) => f.kind !== kind);
      }
      const taken = this.files.map((f) => f.kind);
      this.files.push({ file, kind: placeKind(kind, taken) });
    }
    byId<HTMLDetailsElement>("guest").open = true;
    this.choose("files");
  }

  private show(): void {
    const own = this.source === "files";
    byId("own-files").hidden = !own;
    const has = (kind: FileKind) => this.files.some((f) => f.kind === kind);
    byId("append-field").hidden = !has("kernel");
    byId("boot-field").hidden = has("kernel") || !has("cdrom") || this.files.length < 2;
    this.list.replaceChildren(...this.files.map((chosen) => this.row(chosen)));
  }

  private row(chosen: ChosenFile): HTMLLIElement {
    const row = document.createElement("li");
    const name = document.createElement("span");
    name.className = "file-name";
    name.textContent = `${chosen.file.name} `;
    const size = document.createElement("small");
    size.textContent = sizeText(chosen.file.size);
    name.append(size);
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "quiet";
    remove.textContent = "✕";
    remove.setAttribute("aria-label", `Remove ${chosen.file.name}`);
    remove.addEventListener("click", () => {
      this.files = this.files.filter((f) => f !== chosen);
      this.show();
      byId("choose").focus();
    });
    const kind = document.createElement("select");
    kind.setAttribute("aria-label", `Use ${chosen.file.name} as`);
    for (const [value, text] of Object.entries(FILE_KINDS)) {
      kind.append(new Option(text, value, false, value === chosen.kind));
    }
    kind.addEventListener("change", () => {
      chosen.kind = kind.value as FileKind;
      const at = this.files.indexOf(chosen);
      this.show();
      this.list.children[at]?.querySelector("select")?.focus();
    });
    row.append(name, remove, kind);
    return row;
  }

  /** What the form says, or a PageError. `progress` gets lines while the demo is fetched. */
  async config(progress: (text: string) => void): Promise<GuestConfig> {
    const memoryMib = Number(this.memory.value);
    if (this.source === "demo") {
      await this.ready;
      if (this.manifest) return demoConfig(this.manifest, memoryMib, progress);
    }
    const files = this.files.map(({ file, kind }) => ({ name: file.name, kind, blob: file }));
    const bootOrder = this.boot.value === "d" ? "d" : "c";
    return guestConfig(files, { memoryMib, append: this.append.value.trim().replace(/\s+/g, " "), bootOrder });
  }
}

async function demoConfig(
  manifest: Manifest,
  memoryMib: number,
  progress: (text: string) => void,
): Promise<GuestConfig> {
  const files = [];
  for (const kind of Object.keys(FILE_KINDS) as FileKind[]) {
    const name = manifest[kind];
    if (name !== undefined) files.push({ name, kind, blob: await download(DEMO + name, progress) });
  }
  return guestConfig(files, { memoryMib, append: manifest.append });
}

const downloads = new Map<string, Blob>();

async function download(url: string, progress: (text: string) => void): Promise<Blob> {
  const known = downloads.get(url);
  if (known) return known;
  const response = await fetchOk(url);
  const total = Number(response.headers.get("Content-Length") ?? 0);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
    parts.push(part.value as Uint8Array<ArrayBuffer>);
    done += part.value.length;
    progress(`Fetching the demo: ${sizeText(done)}${total ? ` of ${sizeText(total)}` : ""}`);
  }
  const blob = new Blob(parts);
  downloads.set(url, blob);
  return blob;
}

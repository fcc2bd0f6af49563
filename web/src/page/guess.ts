// What a picked file is for: guessed from its first bytes, its name and its size.

export const FILE_KINDS = {
  hda: "Hard disk",
  hdb: "Second hard disk",
  virtio: "virtio disk",
  cdrom: "CD",
  kernel: "Linux kernel",
  initrd: "Initial RAM disk",
} as const;

export type FileKind = keyof typeof FILE_KINDS;

/** So many bytes of a file are looked at. */
export const HEAD_BYTES = 0x8806;

interface Mark {
  kind: FileKind;
  offset: number;
  bytes: string;
}

// The first that matches counts: a hybrid ISO image also has the mark of a disk.
const MARKS: Mark[] = [
  { kind: "kernel", offset: 0x202, bytes: "HdrS" },
  { kind: "cdrom", offset: 0x8001, bytes: "CD001" },
  { kind: "initrd", offset: 0, bytes: "070701" }, // cpio
  { kind: "initrd", offset: 0, bytes: "070702" },
];
const BY_NAME: [FileKind, RegExp][] = [
  ["cdrom", /\.iso$/i],
  ["kernel", /^(vmlinuz|bzimage|linux$|kernel)/i],
  ["initrd", /^(initrd|initramfs)|\.cpio(\.\w+)?$/i],
  ["hda", /\.(img|raw|dd|bin|qcow2?|vmdk|vdi|vhdx?)$/i],
];
/** What compresses an initial RAM disk: gzip, xz, zstd, lz4 (legacy frames), bzip2. */
const COMPRESSED = ["\x1f\x8b", "\xfd7zXZ", "\x28\xb5\x2f\xfd", "\x02\x21\x4c\x18", "BZh"];

function has(head: Uint8Array, offset: number, bytes: string): boolean {
  return [...bytes].every((c, i) => head[offset + i] === c.charCodeAt(0));
}

/** `head`: the first HEAD_BYTES of the file, or all of it. */
export function guessKind(name: string, head: Uint8Array): FileKind {
  const mark = MARKS.find(({ offset, bytes }) => has(head, offset, bytes));
  if (mark) return mark.kind;
  const named = BY_NAME.find(([, pattern]) => pattern.test(name));
  if (named) return named[0];
  const bootSector = head[510] === 0x55 && head[511] === 0xaa;
  if (!bootSector && COMPRESSED.some((bytes) => has(head, 0, bytes))) return "initrd";
  return "hda";
}

/** Another disk goes where there is room. */
export function placeKind(kind: FileKind, taken: readonly FileKind[]): FileKind {
  if (kind !== "hda") return kind;
  return (["hda", "hdb", "virtio"] as const).find((slot) => !taken.includes(slot)) ?? kind;
}

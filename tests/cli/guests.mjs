// Tiny guests for the tests of the command: boot sectors, assembled by nasm.
// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

export const SECTOR = 512;

const HEAD = `bits 16
org 0x7c00
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  jmp start
say:            ; the string at SI to COM1
  mov dx, 0x3fd
.wait:
  in al, dx
  test al, 0x20 ; transmitter holding register empty
  jz .wait
  lodsb
  test al, al
  jz .done
  mov dx, 0x3f8
  out dx, al
  jmp say
.done:
  ret
start:
`;

/** Says "ready" on COM1 and halts for good. */
export const HALT = `${HEAD}
  mov si, text
  call say
.stop:
  hlt
  jmp .stop
text: db "ready", 10, 0
`;

/** Fills sector 1 of the disk with the letter W, says "written" and halts. */
export const WRITE = `${HEAD}
  mov di, 0x8000
  mov cx, 512
  mov al, 'W'
  rep stosb
  mov ax, 0x0301
  mov cx, 2
  mov dh, 0
  mov bx, 0x8000
  int 0x13
  mov si, failed
  jc .say
  mov si, written
.say:
  call say
.stop:
  hlt
  jmp .stop
written: db "written", 10, 0
failed: db "failed", 10, 0
`;

/** An interrupt table without entries, and an interrupt: exception, double fault, triple fault. */
export const TRIPLE_FAULT = `${HEAD}
  mov eax, 0x12345678
  lidt [table]
  int3
table: dw 0
  dd 0
`;

/** Uses the test device's scratch port and interrupt lines, and ends the run with `status`; 9 when they do not work.
 * @param {number} status */
export const testDevice = (status) => `${HEAD}
  mov eax, 0x12345678
  out 0xe0, eax
  in al, 0xe2
  cmp al, 0x34
  jne .failed
  in ax, 0xe0
  cmp ax, 0x5678
  jne .failed
  mov word [0x2c], irq3         ; IRQ 3 is vector 0x0b as the firmware leaves the 8259s
  mov word [0x2e], 0
  in al, 0x21
  and al, ~8 & 0xff
  out 0x21, al
  mov dx, 0x2003
  mov al, 1
  sti
  out dx, al
  nop
  cli
  cmp byte [hits], 1
  jne .failed
  mov eax, ${status}
.end:
  out 0xf4, eax
  hlt
.failed:
  mov eax, 9
  jmp .end
irq3:
  inc byte [cs:hits]
  push ax
  mov al, 0x20
  out 0x20, al
  pop ax
  iret
hits: db 0
`;

/** A disk of `sectors` whose boot sector is `source`.
 * @param {string} dir @param {string} name @param {string} source @param {number} [sectors] */
export function makeDisk(dir, name, source, sectors = 2048) {
  const asm = path.join(dir, `${name}.asm`);
  const bin = path.join(dir, `${name}.bin`);
  fs.writeFileSync(asm, `${source}\ntimes 510 - ($ - $$) db 0\ndw 0xaa55\n`);
  const nasm = spawnSync("nasm", ["-f", "bin", "-o", bin, asm], { encoding: "utf8" });
  assert.equal(nasm.status, 0, nasm.stderr);
  const image = path.join(dir, name);
  const disk = Buffer.alloc(sectors * SECTOR);
  fs.readFileSync(bin).copy(disk);
  fs.writeFileSync(image, disk);
  fs.rmSync(asm);
  fs.rmSync(bin);
  return image;
}

; An option ROM that boots the Linux kernel which fw_cfg holds. It registers a boot entry (BEV); when the BIOS picks
; it, it copies command line, kernel, setup code and initrd to memory by fw_cfg DMA and enters the kernel's 16-bit setup.
; Sources: Plug and Play BIOS specification 1.0A, appendix B (expansion header, BEV); the Linux/x86 boot protocol
; (Documentation/x86/boot.rst); QEMU documentation, "Firmware Configuration (fw_cfg) Device".

bits 16
cpu 486
org 0

; Of fw_cfg: addresses and sizes are little-endian words of 32 bits, the data items what goes there.
KERNEL_ADDR     equ 0x07
KERNEL_SIZE     equ 0x08
INITRD_SIZE     equ 0x0b
KERNEL_DATA     equ 0x11
INITRD_DATA     equ 0x12
CMDLINE_ADDR    equ 0x13
CMDLINE_SIZE    equ 0x14
CMDLINE_DATA    equ 0x15
SETUP_ADDR      equ 0x16
SETUP_SIZE      equ 0x17
SETUP_DATA      equ 0x18

DMA_PORT        equ 0x514       ; high half; the low half, written second, starts
DMA_ERROR       equ 1
DMA_READ        equ 2
DMA_SELECT      equ 8

; Of the setup header, from the start of the setup code.
RAMDISK_IMAGE   equ 0x218
RAMDISK_SIZE    equ 0x21c
INITRD_ADDR_MAX equ 0x22c

STACK_TOP       equ 0x7c00
SETUP_STACK     equ 0xe000      ; in the setup code's segment: its heap ends just below
SMAP            equ 0x534d4150

; The sum of the two bytes of an offset in the ROM.
%define SUM(label) ((((label) - rom) & 0xff) + (((label) - rom) >> 8))

rom:
        dw      0xaa55
        db      (rom_end - rom) / 512
        jmp     near init
        times   0x18 - ($ - rom) db 0
        dw      0                       ; no PCI data structure
        dw      pnp

pnp:
        db      "$PnP", 1, (pnp_end - pnp) / 16
        dw      0                       ; no further header
        db      0
        db      -('$' + 'P' + 'n' + 'P' + 1 + (pnp_end - pnp) / 16 + SUM(manufacturer) + SUM(product) + 0x14 + SUM(boot)) & 0xff
        dd      0                       ; device identifier
        dw      manufacturer, product
        db      0, 0, 0                 ; device type
        db      0x14                    ; initial program load device; may be shadowed
        dw      0, 0                    ; no boot connection or disconnect vector
        dw      boot
        dw      0, 0                    ; reserved, static resources
pnp_end:

manufacturer:
        db      "Oriel", 0
product:
        db      "Linux kernel", 0
failed: db      "Linux kernel: cannot be loaded", 13, 10, 0

; Nothing to set up: the BIOS finds the boot entry in the header.
init:
        mov     ax, 0x0020              ; an IPL device is attached
        retf

; Reads %3 bytes (a 32-bit operand) of item %1 to the physical address %2.
%macro fetch 3
        mov     eax, %1
        mov     edi, %2
        mov     ecx, %3
        call    read_item
%endmacro

; Reads the 32-bit value of item %1 into %2.
%macro fetch_value 2
        mov     eax, %1
        call    read_value
        mov     %2, eax
%endmacro

; Loads item %3 of the length in item %2 to the address in item %1.
%macro load_part 3
        fetch_value %1, ebx
        fetch_value %2, esi
        fetch   %3, ebx, esi
%endmacro

boot:
        cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, STACK_TOP
        sti

        load_part CMDLINE_ADDR, CMDLINE_SIZE, CMDLINE_DATA
        load_part KERNEL_ADDR, KERNEL_SIZE, KERNEL_DATA
        load_part SETUP_ADDR, SETUP_SIZE, SETUP_DATA
        shr     ebx, 4
        mov     fs, bx                  ; the setup code's segment

        fetch_value INITRD_SIZE, esi
        test    esi, esi
        jz      .start
        call    low_ram_end             ; edx
        mov     eax, [fs:INITRD_ADDR_MAX]
        cmp     edx, eax
        jbe     .place
        mov     edx, eax
        inc     edx
.place: sub     edx, esi
        and     edx, 0xfffff000
        mov     [fs:RAMDISK_IMAGE], edx
        mov     [fs:RAMDISK_SIZE], esi
        fetch   INITRD_DATA, edx, esi

.start: cli
        mov     ax, fs
        mov     ds, ax
        mov     es, ax
        mov     gs, ax
        mov     ss, ax
        mov     sp, SETUP_STACK
        add     ax, 0x20                ; the entry is 512 bytes into the setup code
        push    ax
        push    word 0
        xor     ebx, ebx
        xor     ecx, ecx
        xor     edx, edx
        retf

; Item AX's first four bytes, into EAX.
read_value:
        push    ecx
        push    edi
        sub     sp, 4
        movzx   edi, sp                 ; SS is 0: offsets are physical addresses
        mov     ecx, 4
        call    read_item
        pop     eax
        pop     edi
        pop     ecx
        ret

; Reads ECX bytes of item AX to the physical address EDI.
read_item:
        pushad
        jecxz   .done
        ; The control block, big-endian: control, length, address of 64 bits.
        bswap   edi
        push    edi
        push    dword 0
        bswap   ecx
        push    ecx
        shl     eax, 16
        or      eax, DMA_SELECT | DMA_READ
        bswap   eax
        push    eax
        mov     bp, sp
        mov     dx, DMA_PORT
        xor     eax, eax
        out     dx, eax
        mov     dx, DMA_PORT + 4
        movzx   eax, sp
        bswap   eax
        out     dx, eax
.wait:  mov     eax, [bp]
        bswap   eax
        test    eax, ~DMA_ERROR         ; zero when done, but for the error
        jnz     .wait
        test    eax, eax
        jnz     fail
        add     sp, 16
.done:  popad
        ret

; EDX: where the RAM that begins at or below 1 MiB and goes on above it ends, by the BIOS's memory map. Keeps ESI, FS.
low_ram_end:
        sub     sp, 20                  ; a range: base and length of 64 bits, type
        mov     di, sp
        xor     ebx, ebx
.next:  mov     eax, 0xe820
        mov     ecx, 20
        mov     edx, SMAP
        int     0x15
        jc      fail
        cmp     eax, SMAP
        jne     fail
        cmp     dword [di + 16], 1      ; RAM
        jne     .skip
        cmp     dword [di + 4], 0
        jne     .skip
        mov     edx, [di]
        cmp     edx, 0x100000
        ja      .skip
        add     edx, [di + 8]
        cmp     edx, 0x100000
        ja      .found
.skip:  test    ebx, ebx
        jnz     .next
        jmp     fail
.found: add     sp, 20
        ret

; Says so, and lets the BIOS go on with the next boot device.
fail:   mov     si, failed
.next:  cs lodsb
        test    al, al
        jz      .end
        mov     ah, 0x0e
        mov     bx, 7
        int     0x10
        jmp     .next
.end:   int     0x18

        ; The last byte is for the checksum, which is set when the ROM is put into fw_cfg.
        times   512 * ((($ - rom) + 512) / 512) - ($ - rom) db 0
rom_end:

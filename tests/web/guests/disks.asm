; A boot sector that fills sector 200 of its disk with the letter W and says "written" on COM1, then watches the CD drive
; and says what begins the CD whenever that changes: its first four letters, or "none".
; nasm -f bin
        bits 16
        org 0x7c00
CD      equ 0x170                       ; the secondary channel's data register; status is CD + 7
BUFFER  equ 0x8000

start:  xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov di, BUFFER
        mov cx, 512
        mov al, 'W'
        rep stosb
        mov si, address
        mov ah, 0x43                    ; extended write
        xor al, al
        int 0x13
        mov si, failed
        jc .say
        mov si, written
.say:   call say

watch:  mov dx, CD + 6
        mov al, 0xa0
        out dx, al
        call ready
        mov dx, CD + 4                  ; byte count limit: 2048
        xor al, al
        out dx, al
        inc dx
        mov al, 8
        out dx, al
        mov dx, CD + 7
        mov al, 0xa0                    ; PACKET
        out dx, al
        call ready
        mov si, packet
        mov cx, 6
        mov dx, CD
        rep outsw
        call ready
        mov eax, 'none'
        test bl, 8                      ; DRQ: data
        jz .seen
        mov di, BUFFER
        mov cx, 1024
        mov dx, CD
        rep insw
        call ready
        mov eax, [BUFFER]
.seen:  cmp eax, [last]
        je watch
        mov [last], eax
        mov si, last
        call say
        jmp watch

; Waits until the drive is not busy: its status in BL.
ready:  mov dx, CD + 7
.wait:  in al, dx
        test al, 0x80
        jnz .wait
        mov bl, al
        ret

say:    mov dx, 0x3fd                   ; the string at SI to COM1
.wait:  in al, dx
        test al, 0x20
        jz .wait
        lodsb
        test al, al
        jz .done
        mov dx, 0x3f8
        out dx, al
        jmp say
.done:  ret

packet: db 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0        ; READ(10): one block, the first
        align 4
address: db 16, 0, 1, 0
        dw BUFFER, 0
        dq 200
written: db "written ", 0
failed: db "failed ", 0
last:   dd 0
        db " ", 0
        times 510 - ($ - $$) db 0
        dw 0xaa55
        times 2047 * 512 db 0

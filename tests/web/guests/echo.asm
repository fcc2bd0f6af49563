; A boot sector that shows what it is given, on the screen and on COM1: each byte of the keyboard as kXX, of the
; mouse as mXX (it has a wheel: packets of four), of COM1 as sXX. Some bytes of COM1 are commands:
;   p  power off     t  triple fault     h  halt for good     g  a picture in 256 colours (left half blue)
;   f  32 KiB on COM1 at 115200 bits a second, a to p over and over
; nasm -f bin
        bits 16
        org 0x7c00
COM1    equ 0x3f8
KBD     equ 0x60
KBD_CMD equ 0x64

start:  cli
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        call ready                      ; enable the mouse, make it one with a wheel, let it report
        mov al, 0xa8
        out KBD_CMD, al
        mov si, mouse
.mouse: call ready
        mov al, 0xd4
        out KBD_CMD, al
        call ready
        lodsb
        out KBD, al
.ack:   in al, KBD_CMD
        test al, 1
        jz .ack
        in al, KBD
        cmp si, mouse.end
        jb .mouse
        mov si, hello
.hello: lodsb
        call put
        cmp si, hello.end
        jb .hello

poll:   in al, KBD_CMD
        test al, 1
        jz .com1
        mov bl, 'k'
        test al, 0x20
        jz .device
        mov bl, 'm'
.device:in al, KBD
        call show
.com1:  mov dx, COM1 + 5
        in al, dx
        test al, 1
        jz poll
        mov dx, COM1
        in al, dx
        mov bl, 's'
        push ax
        call show
        pop ax
        cmp al, 'p'
        je power
        cmp al, 't'
        je fault
        cmp al, 'h'
        je halt
        cmp al, 'f'
        je flood
        cmp al, 'g'
        jne poll
        mov ax, 0x13
        int 0x10
        cli
        mov ax, 0xa000
        mov es, ax
        xor di, di
        mov dx, 200
.line:  mov cx, 160
        mov al, 1
        rep stosb
        mov cx, 160
        xor al, al
        rep stosb
        dec dx
        jnz .line
        jmp poll

flood:  mov dx, COM1 + 3                ; the divisor: 1
        mov al, 0x83
        out dx, al
        mov dx, COM1
        mov ax, 1
        out dx, ax
        mov dx, COM1 + 3
        mov al, 0x03
        out dx, al
        mov cx, 32 * 1024
        xor bl, bl
.next:  call com1
        mov al, bl
        and al, 15
        add al, 'a'
        out dx, al
        inc bl
        loop .next
        jmp poll

power:  mov dx, 0x604                   ; PM1a control, where SeaBIOS puts it: sleep type 0 (S5), sleep enable
        mov ax, 0x2000
        out dx, ax
halt:   cli
        hlt
        jmp halt
fault:  lidt [no_idt]
        int3

; Waits until the keyboard controller takes a byte.
ready:  in al, KBD_CMD
        test al, 2
        jnz ready
        ret

; Shows bl, then al in hexadecimal, then a blank.
show:   mov cl, al
        mov al, bl
        call put
        mov al, cl
        shr al, 4
        call digit
        mov al, cl
        and al, 15
        call digit
        mov al, ' '
        jmp put
digit:  add al, '0'
        cmp al, '9'
        jbe put
        add al, 'a' - '9' - 1
; Puts al on the screen and on COM1.
put:    push ax
        push bx
        push cx
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        cli
        pop cx
        pop bx
        call com1
        pop ax
        out dx, al
        ret

; Waits until COM1 takes a byte at port dx.
com1:   mov dx, COM1 + 5
.full:  in al, dx
        test al, 0x20
        jz .full
        mov dx, COM1
        ret

no_idt: dw 0
        dd 0
hello:  db "ORIEL-ECHO "
.end:
mouse:  db 0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf4
.end:
        times 510 - ($ - $$) db 0
        dw 0xaa55
        times 1024 * 1024 - ($ - $$) db 0

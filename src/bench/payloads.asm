; The payloads of the benchmark suite, each in 32 and in 64 bits, with a table before them. A payload is a function as
; payload_machine.h describes it, and position independent; what it computes is defined a second time in suite.cpp.
;
; Each is written once, in payloads/, with these names for registers of the mode's width:
;   A B C D S T F Z   (E/R)AX BX CX DX SI DI BP SP      W   the width in bytes

%define PAYLOADS alu, branch_pred, branch_unpred, mem_seq, mem_stride, call_ret, sse, fp, string

%macro registers 1
  %define A %{1}ax
  %define B %{1}bx
  %define C %{1}cx
  %define D %{1}dx
  %define S %{1}si
  %define T %{1}di
  %define F %{1}bp
  %define Z %{1}sp
%endmacro

; The table: offset and size of the 32-bit and of the 64-bit one of each.
%macro table 1-*
  %rep %0
        dd %1_32, %1_32.end - %1_32, %1_64, %1_64.end - %1_64
    %rotate 1
  %endrep
%endmacro

%macro payload 2
        align 16, db 0xcc
        bits %2
%1_%2:
  %defstr FILE payloads/%1.asm
  %include FILE
.end:
%endmacro

%macro payloads 1-*
  %rep %0
    registers e
    %define W 4
    payload %1, 32
    registers r
    %define W 8
    payload %1, 64
    %rotate 1
  %endrep
%endmacro

        table PAYLOADS
        payloads PAYLOADS

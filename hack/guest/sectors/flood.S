# A guest of one boot sector that fills its serial log as fast as it can: "HYPERNOVA-GUEST FLOOD 00000000", counting up in
# hex. Never sleeps: it takes a whole CPU.
        .code16
        .globl _start
_start: cli
        xor %ax, %ax
        mov %ax, %ds
        mov %ax, %ss
        mov $0x7c00, %sp
        xor %ebx, %ebx
again:  mov $line, %si
1:      lodsb
        test %al, %al
        jz 2f
        call put
        jmp 1b
2:      mov $8, %cx             # digits, the highest first
3:      rol $4, %ebx
        mov %bl, %al
        and $0xf, %al
        add $'0', %al
        cmp $'9', %al
        jbe 4f
        add $'a' - '9' - 1, %al
4:      call put
        loop 3b
        mov $'\r', %al
        call put
        mov $'\n', %al
        call put
        inc %ebx
        jmp again

        .include "put.inc"

line:   .asciz "HYPERNOVA-GUEST FLOOD "
        .org 510
        .word 0xaa55

# A guest of one boot sector: prints "HYPERNOVA-GUEST SECTOR A" on the serial port, B a second later, ... Z, A, for ever.
# Sleeps in between, so that hundreds of them cost little.
        .code16
        .globl _start
_start: cli
        xor %ax, %ax
        mov %ax, %ds
        mov %ax, %ss
        mov $0x7c00, %sp
        sti
        mov $'A', %bl
again:  mov $line, %si
1:      lodsb
        test %al, %al
        jz 2f
        call put
        jmp 1b
2:      mov %bl, %al
        call put
        mov $'\r', %al
        call put
        mov $'\n', %al
        call put
        inc %bl
        cmp $'Z' + 1, %bl
        jne 3f
        mov $'A', %bl
3:      mov 0x46c, %cx          # the BIOS counts 18.2 ticks a second here
        add $18, %cx
4:      hlt
        mov 0x46c, %ax
        sub %cx, %ax            # a difference: ticks that came late come several at a time
        js 4b
        jmp again

        .include "put.inc"

line:   .asciz "HYPERNOVA-GUEST SECTOR "
        .org 510
        .word 0xaa55

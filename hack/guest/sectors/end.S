# A guest of one boot sector that ends by itself: prints "HYPERNOVA-GUEST ENDS", sleeps a second, and writes one word to one
# port. The two stand before the signature, for tests to put others there; these power q35 off (ACPI, S5).
        .code16
        .globl _start
_start: cli
        xor %ax, %ax
        mov %ax, %ds
        mov %ax, %ss
        mov $0x7c00, %sp
        sti
        mov $line, %si
1:      lodsb
        test %al, %al
        jz 2f
        call put
        jmp 1b
2:      mov 0x46c, %cx          # the BIOS counts 18.2 ticks a second here
        add $18, %cx
3:      hlt
        mov 0x46c, %ax
        sub %cx, %ax            # a difference: ticks that came late come several at a time
        js 3b
        mov port, %dx
        mov value, %ax
        out %ax, %dx
4:      hlt                     # what was asked for takes a moment
        jmp 4b

        .include "put.inc"

line:   .asciz "HYPERNOVA-GUEST ENDS\r\n"
        .org 506
port:   .word 0x604
value:  .word 0x2000
        .word 0xaa55

# A guest of one boot sector that tells what is typed: each key on its screen and its serial port, and so each byte that
# comes in by the serial port. Begins with "HYPERNOVA-GUEST KEYS" on both; sleeps in between.
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
        jz again
        call show
        jmp 1b
again:  mov $1, %ah             # is a key waiting?
        int $0x16
        jz 2f
        xor %ah, %ah
        int $0x16
        call show
2:      mov $0x3fd, %dx         # has a byte come?
        in %dx, %al
        test $1, %al
        jz 3f
        mov $0x3f8, %dx
        in %dx, %al
        call show
        jmp again
3:      hlt                     # until the next key, or the BIOS's next tick
        jmp again

show:   push %ax
        mov $0x0e, %ah
        mov $7, %bx
        int $0x10
        pop %ax
        call put
        cmp $'\r', %al
        jne 4f
        mov $'\n', %al
        jmp show
4:      ret

        .include "put.inc"
line:   .asciz "HYPERNOVA-GUEST KEYS\r"
        .org 510
        .word 0xaa55

# A guest of one boot sector that sleeps for good: it costs memory, but no CPU.
        .code16
        .globl _start
_start: cli
1:      hlt
        jmp 1b
        .org 510
        .word 0xaa55

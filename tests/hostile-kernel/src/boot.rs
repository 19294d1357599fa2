//! From the VMM's entry in 32-bit mode (PVH boot ABI) to 64-bit mode with the first 4 GiB mapped to themselves.

use core::arch::global_asm;

// There is no interrupt table: whatever goes wrong in here is a triple fault, which ends the machine.
global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18                      /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long pvh_entry

    .section .text.boot, "ax"
    .code32
    .global pvh_entry, pml4, descriptors
pvh_entry:
    cld
    mov $stack_end, %esp
    movl $pdpt + 3, pml4
    movl $directories + 0x0003, pdpt
    movl $directories + 0x1003, pdpt + 8
    movl $directories + 0x2003, pdpt + 16
    movl $directories + 0x3003, pdpt + 24
    xor %ecx, %ecx
1:  mov %ecx, %eax
    shl $21, %eax
    or $0x83, %eax                      /* present, writable, 2 MiB */
    mov %eax, directories(, %ecx, 8)
    inc %ecx
    cmp $2048, %ecx
    jne 1b
    mov $pml4, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x620, %eax                     /* PAE; SSE, which compiled code uses */
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax                     /* long mode */
    wrmsr
    mov %cr0, %eax
    and $0xfffffffb, %eax
    or $0x80000002, %eax
    mov %eax, %cr0
    lgdt descriptor_tables
    ljmp $8, $long_mode

    .code64
long_mode:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %ebx, %edi
    xor %ebp, %ebp
    call kernel_main

    .section .rodata.boot, "a"
    .balign 8
descriptors:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
descriptor_tables:
    .word 23
    .long descriptors

    .section .bss.boot, "aw", @nobits
    .balign 4096
pml4:        .skip 4096
pdpt:        .skip 4096
directories: .skip 4 * 4096
stack:       .skip 64 * 1024
stack_end:
    "#,
    options(att_syntax)
);

// What the compiler takes for granted, and a C library would have.
global_asm!(
    r#"
    .section .text.memory, "ax"
    .global memcpy
memcpy:
    mov %rdi, %rax
    mov %rdx, %rcx
    rep movsb
    ret

    .global memset
memset:
    mov %rdi, %r8
    mov %esi, %eax
    mov %rdx, %rcx
    rep stosb
    mov %r8, %rax
    ret

    .global memmove
memmove:
    mov %rdi, %rax
    mov %rdx, %rcx
    mov %rdi, %r8
    sub %rsi, %r8
    cmp %rdx, %r8
    jb 1f
    rep movsb
    ret
1:  lea -1(%rdi, %rdx), %rdi
    lea -1(%rsi, %rdx), %rsi
    std
    rep movsb
    cld
    ret

    .global memcmp
    .global bcmp
memcmp:
bcmp:
    xor %eax, %eax
    xor %ecx, %ecx
2:  cmp %rdx, %rcx
    je 3f
    movzbl (%rdi, %rcx), %eax
    movzbl (%rsi, %rcx), %r8d
    inc %rcx
    sub %r8d, %eax
    jz 2b
3:  ret
    "#,
    options(att_syntax)
);

// SPDX-License-Identifier: BSD-3-Clause
// AArch64: switching stacks. See arch.h for the contract.
//
// A suspended context, from its stack pointer up:
//     0  fpcr      8  unused
//    16  x19      24  x20      32  x21      40  x22      48  x23      56  x24
//    64  x25      72  x26      80  x27      88  x28      96  x29     104  x30, where it continues
//   112  d8      120  d9      128  d10     136  d11     144  d12     152  d13
//   160  d14     168  d15
// known to: context.h (ARCH_CONTEXT_BYTES), unwind.S, unwind.c, scripts/gdb.py.
//
// fpcr is written only when it differs, since that is slow. How returns are kept predictable: see
// the x86-64 version; a suspended context continues by ret, a new one begins and an ended one is
// left by a branch. `hint #34` is bti c.

	.text

// void *arch_switch(void **save /*x0*/, void *load /*x1*/, void *arg /*x2*/)
	.globl	arch_switch, arch_resume_
	.hidden	arch_switch, arch_resume_
	.type	arch_switch, %function
	.p2align 6
arch_switch:
	.cfi_startproc
	hint	#34
	sub	sp, sp, #176
	.cfi_def_cfa_offset 176
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	x29, x30, [sp, #96]
	stp	d8, d9, [sp, #112]
	stp	d10, d11, [sp, #128]
	stp	d12, d13, [sp, #144]
	stp	d14, d15, [sp, #160]
	.cfi_rel_offset x19, 16
	.cfi_rel_offset x20, 24
	.cfi_rel_offset x21, 32
	.cfi_rel_offset x22, 40
	.cfi_rel_offset x23, 48
	.cfi_rel_offset x24, 56
	.cfi_rel_offset x25, 64
	.cfi_rel_offset x26, 72
	.cfi_rel_offset x27, 80
	.cfi_rel_offset x28, 88
	.cfi_rel_offset x29, 96
	.cfi_rel_offset x30, 104
	.cfi_rel_offset d8, 112
	.cfi_rel_offset d9, 120
	.cfi_rel_offset d10, 128
	.cfi_rel_offset d11, 136
	.cfi_rel_offset d12, 144
	.cfi_rel_offset d13, 152
	.cfi_rel_offset d14, 160
	.cfi_rel_offset d15, 168
	mrs	x3, fpcr
	str	x3, [sp]
	mov	x4, sp
	str	x4, [x0]
arch_resume_: // by a jump of arch_resume, with load in x1
	mov	sp, x1
	mrs	x3, fpcr
	ldr	x4, [sp]
	cmp	x3, x4
	b.ne	2f
1:	ldp	x29, x30, [sp, #96]
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	d8, d9, [sp, #112]
	ldp	d10, d11, [sp, #128]
	ldp	d12, d13, [sp, #144]
	ldp	d14, d15, [sp, #160]
	mov	x0, x2
	.cfi_remember_state
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	add	sp, sp, #176
	.cfi_def_cfa_offset 0
	ret
	.cfi_restore_state
2:	msr	fpcr, x4
	b	1b
	.cfi_endproc
	.size	arch_switch, . - arch_switch

// void arch_start(void **save /*x0*/, void *stack_hi /*x1*/, void (*entry)(void *) /*x2*/)
	.globl	arch_start, arch_enter_
	.hidden	arch_start, arch_enter_
	.type	arch_start, %function
	.p2align 6
arch_start:
	.cfi_startproc
	hint	#34
	sub	sp, sp, #176
	.cfi_def_cfa_offset 176
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	x29, x30, [sp, #96]
	stp	d8, d9, [sp, #112]
	stp	d10, d11, [sp, #128]
	stp	d12, d13, [sp, #144]
	stp	d14, d15, [sp, #160]
	.cfi_rel_offset x19, 16
	.cfi_rel_offset x20, 24
	.cfi_rel_offset x21, 32
	.cfi_rel_offset x22, 40
	.cfi_rel_offset x23, 48
	.cfi_rel_offset x24, 56
	.cfi_rel_offset x25, 64
	.cfi_rel_offset x26, 72
	.cfi_rel_offset x27, 80
	.cfi_rel_offset x28, 88
	.cfi_rel_offset x29, 96
	.cfi_rel_offset x30, 104
	.cfi_rel_offset d8, 112
	.cfi_rel_offset d9, 120
	.cfi_rel_offset d10, 128
	.cfi_rel_offset d11, 136
	.cfi_rel_offset d12, 144
	.cfi_rel_offset d13, 152
	.cfi_rel_offset d14, 160
	.cfi_rel_offset d15, 168
	mrs	x3, fpcr
	str	x3, [sp]
	mov	x4, sp
	str	x4, [x0]
	b	arch_enter_
	.cfi_endproc
	.size	arch_start, . - arch_start

// By a jump of arch_enter: x1 is stack_hi, x2 entry. The outermost frame of the new context: its
// caller is undefined. Below stack_hi lies a frame record that ends chains of x29.
	.type	arch_enter_, %function
	.p2align 4
arch_enter_:
	.cfi_startproc
	.cfi_undefined x30
	sub	sp, x1, #16
	stp	xzr, xzr, [sp]
	mov	x29, xzr
	mov	x30, xzr
	mov	x0, xzr
	mov	x16, x2
	mrs	x3, fpcr
	cbz	x3, 1f
	msr	fpcr, xzr
1:	br	x16
	.cfi_endproc
	.size	arch_enter_, . - arch_enter_

// Where a context of arch_context_init begins: x19 holds its entry function, x0 the argument of the
// first switch. Outermost for unwinders: the return address is undefined.
	.globl	arch_context_begin
	.hidden	arch_context_begin
	.type	arch_context_begin, %function
	.p2align 4
arch_context_begin:
	.cfi_startproc
	.cfi_undefined x30
	hint	#34
	mov	x29, xzr
	mov	x30, xzr
	blr	x19
	brk	#1
	.cfi_endproc
	.size	arch_context_begin, . - arch_context_begin

// void *arch_context_init(void *stack_hi /*x0*/, void (*entry)(void *) /*x1*/)
	.globl	arch_context_init
	.hidden	arch_context_init
	.type	arch_context_init, %function
	.p2align 4
arch_context_init:
	.cfi_startproc
	hint	#34
	adrp	x2, arch_context_begin
	add	x2, x2, :lo12:arch_context_begin
	mrs	x3, fpcr
	sub	x0, x0, #192 // a context, and a frame record that ends chains of x29
	stp	xzr, xzr, [x0, #176]
	stp	x3, xzr, [x0]
	stp	x1, xzr, [x0, #16]
	stp	xzr, x2, [x0, #96]
	ret
	.cfi_endproc
	.size	arch_context_init, . - arch_context_init

// void arch_call_on(void *stack_hi /*x0*/, void (*fn)(void *) /*x1*/, void *arg /*x2*/)
	.globl	arch_call_on
	.hidden	arch_call_on
	.type	arch_call_on, %function
	.p2align 4
arch_call_on:
	.cfi_startproc
	hint	#34
	stp	x29, x30, [sp, #-16]!
	.cfi_def_cfa_offset 16
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	.cfi_def_cfa_register x29
	mov	sp, x0
	mov	x0, x2
	blr	x1
	mov	sp, x29
	.cfi_def_cfa_register sp
	ldp	x29, x30, [sp], #16
	.cfi_restore x29
	.cfi_restore x30
	.cfi_def_cfa_offset 0
	ret
	.cfi_endproc
	.size	arch_call_on, . - arch_call_on

// bool arch_protect(void **sp /*x0*/, void (*fn)(void *) /*x1*/, void *arg /*x2*/)
// void arch_return(void *sp /*x0*/)
	.globl	arch_protect, arch_return
	.hidden	arch_protect, arch_return
	.type	arch_protect, %function
	.p2align 4
arch_protect:
	.cfi_startproc
	hint	#34
	sub	sp, sp, #160
	.cfi_def_cfa_offset 160
	stp	x29, x30, [sp]
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	.cfi_rel_offset x19, 16
	.cfi_rel_offset x20, 24
	.cfi_rel_offset x21, 32
	.cfi_rel_offset x22, 40
	.cfi_rel_offset x23, 48
	.cfi_rel_offset x24, 56
	.cfi_rel_offset x25, 64
	.cfi_rel_offset x26, 72
	.cfi_rel_offset x27, 80
	.cfi_rel_offset x28, 88
	.cfi_rel_offset d8, 96
	.cfi_rel_offset d9, 104
	.cfi_rel_offset d10, 112
	.cfi_rel_offset d11, 120
	.cfi_rel_offset d12, 128
	.cfi_rel_offset d13, 136
	.cfi_rel_offset d14, 144
	.cfi_rel_offset d15, 152
	mov	x3, sp
	str	x3, [x0]
	mov	x0, x2
	blr	x1
	ldr	x30, [sp, #8] // fn has kept the others
	mov	w0, #0
	add	sp, sp, #160
	.cfi_remember_state
	.cfi_def_cfa_offset 0
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	ret
	.cfi_restore_state
arch_return:
	hint	#34
	mov	sp, x0
	mov	w0, #1
	ldp	x29, x30, [sp]
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	.cfi_def_cfa_offset 0
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	ret
	.cfi_endproc
	.size	arch_protect, . - arch_protect

// void *arch_call_kept(size_t a /*x0*/, size_t b /*x1*/, const void *c /*x2*/, size_t d /*x3*/,
//                      void *(*fn)() /*x4*/)
	.globl	arch_call_kept
	.hidden	arch_call_kept
	.type	arch_call_kept, %function
	.p2align 4
arch_call_kept:
	.cfi_startproc
	hint	#34
	sub	sp, sp, #160
	.cfi_def_cfa_offset 160
	stp	x29, x30, [sp]
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	.cfi_rel_offset x19, 16
	.cfi_rel_offset x20, 24
	.cfi_rel_offset x21, 32
	.cfi_rel_offset x22, 40
	.cfi_rel_offset x23, 48
	.cfi_rel_offset x24, 56
	.cfi_rel_offset x25, 64
	.cfi_rel_offset x26, 72
	.cfi_rel_offset x27, 80
	.cfi_rel_offset x28, 88
	.cfi_rel_offset d8, 96
	.cfi_rel_offset d9, 104
	.cfi_rel_offset d10, 112
	.cfi_rel_offset d11, 120
	.cfi_rel_offset d12, 128
	.cfi_rel_offset d13, 136
	.cfi_rel_offset d14, 144
	.cfi_rel_offset d15, 152
	mov	x5, x4
	mov	x4, sp
	blr	x5
	ldp	x29, x30, [sp] // fn has kept the others
	add	sp, sp, #160
	.cfi_def_cfa_offset 0
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	ret
	.cfi_endproc
	.size	arch_call_kept, . - arch_call_kept

// const char *arch_refuses(void): a guarded control stack would fault at the first switch. chkfeat,
// a hint where it is unknown, clears bit 0 of x16 when one is on.
	.globl	arch_refuses
	.hidden	arch_refuses
	.type	arch_refuses, %function
	.p2align 4
arch_refuses:
	.cfi_startproc
	hint	#34
	mov	x16, #1
	hint	#40
	mov	x0, xzr
	cbnz	x16, 1f
	adrp	x0, refused_gcs
	add	x0, x0, :lo12:refused_gcs
1:	ret
	.cfi_endproc
	.size	arch_refuses, . - arch_refuses

	.section .rodata.str1.1, "aMS", %progbits, 1
refused_gcs:
	.string	"the process runs with guarded control stacks (GCS), which undergo does not support"

// The thread's word, see arch_tls_m.
	.section .tbss, "awT", %nobits
	.globl	arch_tls_word
	.hidden	arch_tls_word
	.type	arch_tls_word, %object
	.size	arch_tls_word, 8
	.p2align 3
arch_tls_word:
	.zero	8

	.section .note.GNU-stack, "", %progbits

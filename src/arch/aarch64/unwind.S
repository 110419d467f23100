// SPDX-License-Identifier: BSD-3-Clause
// AArch64: arch_unwind_at. See arch/unwind.h for what it promises.
//
// While fn runs, x19 points at the saved registers and x20 holds the canonical frame address, and
// the unwind rules find everything through these two. The rules for registers are expressions
// "contents of x19, plus offset": DW_CFA_expression (0x10), register, length, DW_OP_breg19 (0x83),
// offset; offsets from 64 on take two bytes. Registers 72 to 79 are d8 to d15. known to: switch.S
// (order of the saved registers).

	.text

// void arch_unwind_at(const void *saved /*x0*/, const void *cfa /*x1*/, void (*fn)(void *) /*x2*/,
//                     void *arg /*x3*/)
	.globl	arch_unwind_at
	.hidden	arch_unwind_at
	.type	arch_unwind_at, %function
	.p2align 4
arch_unwind_at:
	.cfi_startproc
	hint	#34
	stp	x29, x30, [sp, #-32]!
	.cfi_def_cfa_offset 32
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	stp	x19, x20, [sp, #16]
	.cfi_rel_offset x19, 16
	.cfi_rel_offset x20, 24
	mov	x19, x0
	mov	x20, x1
	mov	x0, x3
	.cfi_remember_state
	.cfi_def_cfa x20, 0
	.cfi_escape 0x10, 19, 2, 0x83, 0
	.cfi_escape 0x10, 20, 2, 0x83, 8
	.cfi_escape 0x10, 21, 2, 0x83, 16
	.cfi_escape 0x10, 22, 2, 0x83, 24
	.cfi_escape 0x10, 23, 2, 0x83, 32
	.cfi_escape 0x10, 24, 2, 0x83, 40
	.cfi_escape 0x10, 25, 2, 0x83, 48
	.cfi_escape 0x10, 26, 2, 0x83, 56
	.cfi_escape 0x10, 27, 3, 0x83, 0xc0, 0x00
	.cfi_escape 0x10, 28, 3, 0x83, 0xc8, 0x00
	.cfi_escape 0x10, 29, 3, 0x83, 0xd0, 0x00
	.cfi_escape 0x10, 30, 3, 0x83, 0xd8, 0x00
	.cfi_escape 0x10, 72, 3, 0x83, 0xe0, 0x00
	.cfi_escape 0x10, 73, 3, 0x83, 0xe8, 0x00
	.cfi_escape 0x10, 74, 3, 0x83, 0xf0, 0x00
	.cfi_escape 0x10, 75, 3, 0x83, 0xf8, 0x00
	.cfi_escape 0x10, 76, 3, 0x83, 0x80, 0x01
	.cfi_escape 0x10, 77, 3, 0x83, 0x88, 0x01
	.cfi_escape 0x10, 78, 3, 0x83, 0x90, 0x01
	.cfi_escape 0x10, 79, 3, 0x83, 0x98, 0x01
	blr	x2
	nop
	.cfi_restore_state
	.cfi_def_cfa sp, 32
	ldp	x19, x20, [sp, #16]
	.cfi_restore x19
	.cfi_restore x20
	ldp	x29, x30, [sp], #32
	.cfi_restore x29
	.cfi_restore x30
	.cfi_def_cfa_offset 0
	ret
	.cfi_endproc
	.size	arch_unwind_at, . - arch_unwind_at

// What arch_divert makes a signal return to: calls x1(x0). The frame holds the interrupted pc,
// stack pointer and x30: the canonical frame address is the second, DW_CFA_def_cfa_expression
// (0x0f) of length 3, DW_OP_breg31 (0x8f) 8, DW_OP_deref (0x06). The pc is in column 96, as x30
// has a value of its own; all other registers are as they were.
	.globl	arch_diverted
	.hidden	arch_diverted
	.type	arch_diverted, %function
	.p2align 4
	.cfi_startproc
	.cfi_signal_frame
	.cfi_return_column 96
	.cfi_escape 0x0f, 3, 0x8f, 8, 0x06
	.cfi_escape 0x10, 96, 2, 0x8f, 0
	.cfi_escape 0x10, 30, 2, 0x8f, 16
	nop
arch_diverted:
	hint	#34
	blr	x1
	brk	#1
	.cfi_endproc
	.size	arch_diverted, . - arch_diverted

	.section .note.GNU-stack, "", %progbits

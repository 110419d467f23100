// SPDX-License-Identifier: BSD-3-Clause
// x86-64: arch_unwind_at. See arch/unwind.h for what it promises.
//
// While fn runs, rbx points at the saved registers and r12 holds the canonical frame address, and
// the unwind rules find everything through these two. The rules for registers are expressions
// "contents of rbx, plus offset": DW_CFA_expression (0x10), register, length 2, DW_OP_breg3 (0x73),
// offset. known to: switch.S (order of the saved registers).

	.text

// void arch_unwind_at(const void *saved /*rdi*/, const void *cfa /*rsi*/, void (*fn)(void *)
// /*rdx*/,
//                     void *arg /*rcx*/)
	.globl	arch_unwind_at
	.hidden	arch_unwind_at
	.type	arch_unwind_at, @function
	.p2align 4
arch_unwind_at:
	.cfi_startproc
	endbr64
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	movq	%rdi, %rbx
	movq	%rsi, %r12
	movq	%rcx, %rdi
	.cfi_remember_state
	.cfi_def_cfa %r12, 0
	.cfi_escape 0x10, 15, 2, 0x73, 0
	.cfi_escape 0x10, 14, 2, 0x73, 8
	.cfi_escape 0x10, 13, 2, 0x73, 16
	.cfi_escape 0x10, 12, 2, 0x73, 24
	.cfi_escape 0x10, 3, 2, 0x73, 32
	.cfi_escape 0x10, 6, 2, 0x73, 40
	.cfi_escape 0x10, 16, 2, 0x73, 48
	call	*%rdx
	nop
	.cfi_restore_state
	.cfi_def_cfa %rsp, 32
	addq	$8, %rsp
	.cfi_def_cfa %rsp, 24
	popq	%r12
	.cfi_def_cfa_offset 16
	.cfi_restore %r12
	popq	%rbx
	.cfi_def_cfa_offset 8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size	arch_unwind_at, . - arch_unwind_at

// What arch_divert makes a signal return to: calls rsi(rdi). The frame holds the interrupted pc and
// stack pointer: the canonical frame address is the latter, DW_CFA_def_cfa_expression (0x0f) of
// length 3, DW_OP_breg7 (0x77) 8, DW_OP_deref (0x06). All other registers are as they were.
	.globl	arch_diverted
	.hidden	arch_diverted
	.type	arch_diverted, @function
	.p2align 4
	.cfi_startproc
	.cfi_signal_frame
	.cfi_escape 0x0f, 3, 0x77, 8, 0x06
	.cfi_escape 0x10, 16, 2, 0x77, 0
	nop
arch_diverted:
	endbr64
	call	*%rsi
	ud2
	.cfi_endproc
	.size	arch_diverted, . - arch_diverted

	.section .note.GNU-stack, "", @progbits

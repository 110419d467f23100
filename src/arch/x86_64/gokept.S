// SPDX-License-Identifier: BSD-3-Clause
// x86-64: entries of the Go face that may collect tell where the frames of Go code begin.
// known to: src/gccgo/kept.h (Kept).

	.text

// The function in r10, of a Kept, returns what the caller wants in rax and rdx. What the caller has
// in registers, arguments and those he keeps, lies in the Kept.
	.globl	gccgo_kept
	.hidden	gccgo_kept
	.type	gccgo_kept, @function
	.p2align 4
gccgo_kept:
	.cfi_startproc
	endbr64
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	pushq	%r9
	.cfi_adjust_cfa_offset 8
	pushq	%r8
	.cfi_adjust_cfa_offset 8
	pushq	%rcx
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	movq	%rsp, %rdi
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	*%r10
	addq	$104, %rsp // the function has kept the registers
	.cfi_adjust_cfa_offset -104
	.cfi_restore %rbp
	.cfi_restore %rbx
	.cfi_restore %r12
	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
	ret
	.cfi_endproc
	.size	gccgo_kept, . - gccgo_kept

	.section .note.GNU-stack, "", @progbits

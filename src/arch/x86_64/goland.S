// SPDX-License-Identifier: BSD-3-Clause
// x86-64: to a landing pad of Go code. src/gccgo/landing.c has found it.
//
// A context lies in memory as: pc rsp rbx rbp r12 r13 r14 r15. known to: landing.c (Context).

	.text

// void gccgo_context(Context *c /*rdi*/)
	.globl	gccgo_context
	.hidden	gccgo_context
	.type	gccgo_context, @function
	.p2align 4
gccgo_context:
	.cfi_startproc
	endbr64
	movq	(%rsp), %rax
	movq	%rax, (%rdi)
	leaq	8(%rsp), %rax
	movq	%rax, 8(%rdi)
	movq	%rbx, 16(%rdi)
	movq	%rbp, 24(%rdi)
	movq	%r12, 32(%rdi)
	movq	%r13, 40(%rdi)
	movq	%r14, 48(%rdi)
	movq	%r15, 56(%rdi)
	ret
	.cfi_endproc
	.size	gccgo_context, . - gccgo_context

// void gccgo_land(const Context *c /*rdi*/, void *exception /*rsi*/)
// A pad gets the exception in rax and the number of its action in rdx. A signal may come at any
// instruction: the stack pointer is changed last, so nothing of the context is below it before.
	.globl	gccgo_land
	.hidden	gccgo_land
	.type	gccgo_land, @function
	.p2align 4
gccgo_land:
	.cfi_startproc
	endbr64
	movq	%rsi, %rax
	xorl	%edx, %edx
	movq	(%rdi), %rcx
	movq	16(%rdi), %rbx
	movq	24(%rdi), %rbp
	movq	32(%rdi), %r12
	movq	40(%rdi), %r13
	movq	48(%rdi), %r14
	movq	56(%rdi), %r15
	movq	8(%rdi), %rsp
	jmp	*%rcx
	.cfi_endproc
	.size	gccgo_land, . - gccgo_land

	.section .note.GNU-stack, "", @progbits

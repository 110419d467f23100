// SPDX-License-Identifier: BSD-3-Clause
// x86-64: calling functions of Go whose types are known at run time only, and being called as one.
// Which argument goes where src/gccgo/reflect.c decides.
//
// Registers lie in memory as: rdi rsi rdx rcx r8 r9, xmm0 to xmm7 (16 bytes each), rax rdx.
// known to: src/gccgo/reflect.c (Regs).

	.text

	.set	XMM, 48
	.set	RETURNS, 176
	.set	REGS, 192

// void gccgo_call(Regs *r /*rdi*/, const void *stack /*rsi*/, size_t bytes /*rdx*/,
//                 void (*fn)(void) /*rcx*/, void *chain /*r8*/)
// bytes is a multiple of 16. Results: rax and rdx behind the others, xmm0 and xmm1 in their places.
	.globl	gccgo_call
	.hidden	gccgo_call
	.type	gccgo_call, @function
	.p2align 4
gccgo_call:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	pushq	%rbx
	.cfi_offset %rbx, -24
	subq	$8, %rsp
	movq	%rdi, %rbx
	subq	%rdx, %rsp
	movq	%rcx, %r11
	movq	%r8, %r10
	movq	%rsp, %rdi
	movq	%rdx, %rcx
	shrq	$3, %rcx
	rep movsq
	movq	(%rbx), %rdi
	movq	8(%rbx), %rsi
	movq	16(%rbx), %rdx
	movq	24(%rbx), %rcx
	movq	32(%rbx), %r8
	movq	40(%rbx), %r9
	movups	XMM+0(%rbx), %xmm0
	movups	XMM+16(%rbx), %xmm1
	movups	XMM+32(%rbx), %xmm2
	movups	XMM+48(%rbx), %xmm3
	movups	XMM+64(%rbx), %xmm4
	movups	XMM+80(%rbx), %xmm5
	movups	XMM+96(%rbx), %xmm6
	movups	XMM+112(%rbx), %xmm7
	call	*%r11
	movq	%rax, RETURNS(%rbx)
	movq	%rdx, RETURNS+8(%rbx)
	movups	%xmm0, XMM+0(%rbx)
	movups	%xmm1, XMM+16(%rbx)
	movq	-8(%rbp), %rbx
	.cfi_restore %rbx
	leave
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	gccgo_call, . - gccgo_call

// The code of functions that reflect.MakeFunc has made: r10 is the function value. Calls
// gccgo_called(Regs *r, char *stack, void *value), where stack is what the caller has put there.
	.globl	gccgo_made_func
	.hidden	gccgo_made_func
	.type	gccgo_made_func, @function
	.p2align 4
gccgo_made_func:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	subq	$REGS, %rsp
	movq	%rdi, (%rsp)
	movq	%rsi, 8(%rsp)
	movq	%rdx, 16(%rsp)
	movq	%rcx, 24(%rsp)
	movq	%r8, 32(%rsp)
	movq	%r9, 40(%rsp)
	movups	%xmm0, XMM+0(%rsp)
	movups	%xmm1, XMM+16(%rsp)
	movups	%xmm2, XMM+32(%rsp)
	movups	%xmm3, XMM+48(%rsp)
	movups	%xmm4, XMM+64(%rsp)
	movups	%xmm5, XMM+80(%rsp)
	movups	%xmm6, XMM+96(%rsp)
	movups	%xmm7, XMM+112(%rsp)
	movq	%rsp, %rdi
	leaq	16(%rbp), %rsi
	movq	%r10, %rdx
	call	gccgo_called
	movq	RETURNS(%rsp), %rax
	movq	RETURNS+8(%rsp), %rdx
	movups	XMM+0(%rsp), %xmm0
	movups	XMM+16(%rsp), %xmm1
	leave
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	gccgo_made_func, . - gccgo_made_func

	.section .note.GNU-stack, "", @progbits

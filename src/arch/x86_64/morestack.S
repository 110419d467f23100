// SPDX-License-Identifier: BSD-3-Clause
// x86-64: __morestack, which code compiled with split stacks calls when its stack is short.
//
// A function that may need more begins
//
//	cmp	%fs:0x70, %rsp		(or rsp less its frame)
//	jae	1f
//	mov	$frame, %r10		what it needs for itself
//	mov	$args, %r11		bytes of arguments that it was given on the stack
//	call	__morestack
//	ret
// 1:
//
// and with a static chain it moves that from r10 to rax before and back after. gccgo_morestack
// says where to go on: NULL, on this stack, or with a stack pointer, arguments copied to it, on
// another. In the first case we return to 1, one byte behind the return address. In the second we
// call 1 from the other stack; it returns here, we go back to the old stack and to the ret.
//
// Unwinders find everything through rbp, on whatever stack we are. The frame above ours is that of
// the function once more, at its ret.
//
// On entry, from rsp up: return address, the caller's return address, arguments.
// known to: src/gccgo/stack.c (MORESTACK_FRAME), src/gccgo/callers.c.

	.text

	.set	SAVED, 200	// rax rdi rsi rdx rcx r8 r9, xmm0 to xmm7, and 16 to be aligned
	.set	RESULTS, 56	// rax rdx xmm0 xmm1, and 8

	.globl	__morestack
	.type	__morestack, @function
	.p2align 4
__morestack:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	subq	$SAVED, %rsp
	movq	%rax, (%rsp)
	movq	%rdi, 8(%rsp)
	movq	%rsi, 16(%rsp)
	movq	%rdx, 24(%rsp)
	movq	%rcx, 32(%rsp)
	movq	%r8, 40(%rsp)
	movq	%r9, 48(%rsp)
	movups	%xmm0, 56(%rsp)
	movups	%xmm1, 72(%rsp)
	movups	%xmm2, 88(%rsp)
	movups	%xmm3, 104(%rsp)
	movups	%xmm4, 120(%rsp)
	movups	%xmm5, 136(%rsp)
	movups	%xmm6, 152(%rsp)
	movups	%xmm7, 168(%rsp)
	movq	%r10, %rdi
	movq	%r11, %rsi
	leaq	24(%rbp), %rdx
	call	gccgo_morestack
	movq	%rax, %r11
	movq	(%rsp), %rax
	movq	8(%rsp), %rdi
	movq	16(%rsp), %rsi
	movq	24(%rsp), %rdx
	movq	32(%rsp), %rcx
	movq	40(%rsp), %r8
	movq	48(%rsp), %r9
	movups	56(%rsp), %xmm0
	movups	72(%rsp), %xmm1
	movups	88(%rsp), %xmm2
	movups	104(%rsp), %xmm3
	movups	120(%rsp), %xmm4
	movups	136(%rsp), %xmm5
	movups	152(%rsp), %xmm6
	movups	168(%rsp), %xmm7
	testq	%r11, %r11
	jz	1f

	movq	%r11, %rsp
	movq	8(%rbp), %r11
	incq	%r11
	call	*%r11
	.globl	gccgo_morestack_returns
	.hidden	gccgo_morestack_returns
gccgo_morestack_returns:
	leaq	-RESULTS(%rbp), %rsp
	movq	%rax, (%rsp)
	movq	%rdx, 8(%rsp)
	movups	%xmm0, 16(%rsp)
	movups	%xmm1, 32(%rsp)
	call	gccgo_lessstack
	movq	(%rsp), %rax
	movq	8(%rsp), %rdx
	movups	16(%rsp), %xmm0
	movups	32(%rsp), %xmm1
	leave
	.cfi_remember_state
	.cfi_def_cfa %rsp, 8
	ret

1:	.cfi_restore_state
	leave
	.cfi_def_cfa %rsp, 8
	incq	(%rsp)
	ret
	.cfi_endproc
	.size	__morestack, . - __morestack

	.section .note.GNU-stack, "", @progbits

// SPDX-License-Identifier: BSD-3-Clause
// x86-64: switching stacks. See arch.h for the contract.
//
// A suspended context, from its stack pointer up:
//    0  mxcsr (4), x87 control word (2), unused (2)
//    8  r15   16 r14   24 r13   32 r12   40 rbx   48 rbp
//   56  return address
// known to: context.h (ARCH_CONTEXT_BYTES), unwind.S, scripts/gdb.py.
//
// Both control words are reloaded unconditionally, which costs less than comparing. Storing mxcsr
// is the dearest instruction here (about 2 of 5 ns) and cannot be saved: its control bits are
// callee-saved, and nothing cheaper tells whether the goroutine has changed them.
//
// The processor predicts a ret by a stack of its own, which does not switch with ours. What keeps
// it in step, at 5 ns for each return predicted wrongly:
//   - A suspended context continues by ret: it was suspended by a call, mostly the same one as that
//     which suspends us now, so both the address and the depth fit. (An indirect jump is faster
//     alone, and puts all returns that follow out of step.)
//   - A new context begins by a jump, so our own call stays on top for whoever resumes us, and a
//     context that ends is left by a jump: between the two its calls and returns are balanced. A
//     goroutine that runs from start to end inside another's wait disturbs nothing.

	.text

// void *arch_switch(void **save /*rdi*/, void *load /*rsi*/, void *arg /*rdx*/)
	.globl	arch_switch, arch_resume_, arch_enter_
	.hidden	arch_switch, arch_resume_, arch_enter_
	.type	arch_switch, @function
	.p2align 6
arch_switch:
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
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
arch_resume_:
	movq	%rsi, %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	popq	%r14
	.cfi_adjust_cfa_offset -8
	popq	%r13
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	movq	%rdx, %rax
	ret
	.cfi_endproc
	.size	arch_switch, . - arch_switch

// void arch_start(void **save /*rdi*/, void *stack_hi /*rsi*/, void (*entry)(void *) /*rdx*/)
	.globl	arch_start
	.hidden	arch_start
	.type	arch_start, @function
	.p2align 6
arch_start:
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
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	.cfi_endproc

// The outermost frame of the new context: its caller is undefined.
	.cfi_startproc
	.cfi_undefined %rip
arch_enter_:
	ldmxcsr	default_mxcsr(%rip)
	fldcw	default_x87(%rip)
	leaq	-8(%rsi), %rsp
	movq	$0, (%rsp)
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	jmp	*%rdx
	.cfi_endproc
	.size	arch_start, . - arch_start

// Where a context of arch_context_init begins: rbx holds its entry function, rax the argument of
// the first switch. Outermost for unwinders: the return address is undefined.
	.globl	arch_context_begin
	.hidden	arch_context_begin
	.type	arch_context_begin, @function
	.p2align 4
arch_context_begin:
	.cfi_startproc
	.cfi_undefined %rip
	endbr64
	movq	%rax, %rdi
	xorl	%ebp, %ebp
	call	*%rbx
	ud2
	.cfi_endproc
	.size	arch_context_begin, . - arch_context_begin

// void *arch_context_init(void *stack_hi /*rdi*/, void (*entry)(void *) /*rsi*/)
	.globl	arch_context_init
	.hidden	arch_context_init
	.type	arch_context_init, @function
	.p2align 4
arch_context_init:
	.cfi_startproc
	endbr64
	leaq	-80(%rdi), %rax
	stmxcsr	(%rax)
	fnstcw	4(%rax)
	movq	%rsi, 40(%rax)
	movq	$0, 48(%rax)
	leaq	arch_context_begin(%rip), %rcx
	movq	%rcx, 56(%rax)
	movq	$0, 64(%rax)
	ret
	.cfi_endproc
	.size	arch_context_init, . - arch_context_init

// void arch_call_on(void *stack_hi /*rdi*/, void (*fn)(void *) /*rsi*/, void *arg /*rdx*/)
	.globl	arch_call_on
	.hidden	arch_call_on
	.type	arch_call_on, @function
	.p2align 4
arch_call_on:
	.cfi_startproc
	endbr64
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	movq	%rdi, %rsp
	movq	%rdx, %rdi
	call	*%rsi
	movq	%rbp, %rsp
	popq	%rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	arch_call_on, . - arch_call_on

// bool arch_protect(void **sp /*rdi*/, void (*fn)(void *) /*rsi*/, void *arg /*rdx*/)
// void arch_return(void *sp /*rdi*/)
	.globl	arch_protect, arch_return
	.hidden	arch_protect, arch_return
	.type	arch_protect, @function
	.p2align 4
arch_protect:
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
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	movq	%rsp, (%rdi)
	movq	%rdx, %rdi
	call	*%rsi
	xorl	%eax, %eax
	addq	$56, %rsp // fn has kept the registers
	.cfi_remember_state
	.cfi_adjust_cfa_offset -56
	.cfi_restore %rbp
	.cfi_restore %rbx
	.cfi_restore %r12
	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
	ret
	.cfi_restore_state
arch_return:
	movl	$1, %eax
	movq	%rdi, %rsp
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	popq	%r14
	.cfi_adjust_cfa_offset -8
	popq	%r13
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	cld
	ret
	.cfi_endproc
	.size	arch_protect, . - arch_protect

// void *arch_call_kept(size_t a /*rdi*/, size_t b /*rsi*/, const void *c /*rdx*/, size_t d /*rcx*/,
//                      void *(*fn)() /*r8*/)
	.globl	arch_call_kept
	.hidden	arch_call_kept
	.type	arch_call_kept, @function
	.p2align 4
arch_call_kept:
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
	movq	%r8, %rax
	movq	%rsp, %r8
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	*%rax
	addq	$56, %rsp // fn has kept the registers
	.cfi_adjust_cfa_offset -56
	.cfi_restore %rbp
	.cfi_restore %rbx
	.cfi_restore %r12
	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
	ret
	.cfi_endproc
	.size	arch_call_kept, . - arch_call_kept

// const char *arch_refuses(void): shadow stacks would fault at the first switch. rdssp leaves its
// operand alone where they are off or unknown.
	.globl	arch_refuses
	.hidden	arch_refuses
	.type	arch_refuses, @function
	.p2align 4
arch_refuses:
	.cfi_startproc
	endbr64
	xorl	%eax, %eax
	rdsspq	%rax
	testq	%rax, %rax
	jz	1f
	leaq	refused_cet(%rip), %rax
1:	ret
	.cfi_endproc
	.size	arch_refuses, . - arch_refuses

	.section .rodata
	.p2align 2
default_mxcsr:
	.long	0x1f80
default_x87:
	.word	0x037f

	.section .rodata.str1.1, "aMS", @progbits, 1
refused_cet:
	.string	"the process runs with CPU shadow stacks (CET), which undergo does not support"

// The thread's word, see arch_tls_m.
	.section .tbss, "awT", @nobits
	.globl	arch_tls_word
	.hidden	arch_tls_word
	.type	arch_tls_word, @object
	.size	arch_tls_word, 8
	.p2align 3
arch_tls_word:
	.zero	8

	.section .note.GNU-stack, "", @progbits

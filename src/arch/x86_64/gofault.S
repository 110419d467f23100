// SPDX-License-Identifier: BSD-3-Clause
// x86-64: where Go code that has faulted goes on: in runtime.sigpanic, which panics, as if called
// by the instruction that faulted. The handler of the signal (src/gccgo/fault.c) has put the
// address of that instruction and its stack pointer where rsp points; the unwind rules say so.
// All registers that functions keep are as they were.
//
// The rules are expressions: 0x77 0 is "rsp + 0", 0x06 "what lies there".

	.text

	.globl	gccgo_fault_entry
	.hidden	gccgo_fault_entry
	.type	gccgo_fault_entry, @function
	.p2align 4
	.cfi_startproc
	.cfi_signal_frame
	.cfi_escape 0x0f, 3, 0x77, 8, 0x06
	.cfi_escape 0x10, 16, 2, 0x77, 0
	nop
gccgo_fault_entry:
	call	runtime.sigpanic
	ud2
	.cfi_endproc
	.size	gccgo_fault_entry, . - gccgo_fault_entry

	.section .note.GNU-stack, "", @progbits

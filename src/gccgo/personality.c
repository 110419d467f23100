// SPDX-License-Identifier: BSD-3-Clause
// What the unwinder asks about a frame of Go code: is there a landing pad for this call?
//
// A table for each function has a row for each stretch of code: where it begins, how long it is,
// its landing pad, and its action, which is 0 for a pad that only cleans up and goes on.
#include <unwind.h>

#include "base/base.h"
#include "gccgo/landing.h"
#include "gccgo/personality.h"

enum {
	ENCODING_OMIT = 0xff,
	ENCODING_ULEB128 = 1,
	REG_EXCEPTION = 0, // what a landing pad gets
	REG_SELECTOR = 1,
};

typedef struct Row {
	uintptr_t begin, bytes, pad, action;
} Row;

static uintptr_t
read_uleb(const uint8_t **at)
{
	uintptr_t v = 0;
	uint8_t byte;
	unsigned shift = 0;
	do {
		byte = *(*at)++;
		v |= (uintptr_t)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) != 0);
	return v;
}

// The row that offset lies in; false when there is none, or it has no pad.
static bool
find_row(const uint8_t *table, uintptr_t offset, Row *row)
{
	const uint8_t *at = table;
	check(*at++ == ENCODING_OMIT, "personality: landing pads relative to something else");
	if (*at++ != ENCODING_OMIT)
		(void)read_uleb(&at);
	check(*at++ == ENCODING_ULEB128, "personality: unknown encoding");
	uintptr_t bytes = read_uleb(&at);
	for (const uint8_t *end = at + bytes; at < end;) {
		row->begin = read_uleb(&at);
		row->bytes = read_uleb(&at);
		row->pad = read_uleb(&at);
		row->action = read_uleb(&at);
		if (offset < row->begin)
			return false;
		if (offset < row->begin + row->bytes)
			return row->pad != 0;
	}
	return false;
}

_Unwind_Reason_Code __gccgo_personality_v0(int version, _Unwind_Action actions,
					   _Unwind_Exception_Class class,
					   struct _Unwind_Exception *exception,
					   struct _Unwind_Context *context)
    __attribute__((visibility("default")));

bool
personality_is_ours(uintptr_t personality)
{
	return personality == (uintptr_t)__gccgo_personality_v0;
}

uintptr_t
personality_pad(uintptr_t lsda, uintptr_t func, uintptr_t pc)
{
	Row row;
	if (!find_row((const uint8_t *)lsda, pc - 1 - func, &row) || row.action == 0)
		return 0;
	return func + row.pad;
}

_Unwind_Reason_Code
__gccgo_personality_v0(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
		       struct _Unwind_Exception *exception, struct _Unwind_Context *context)
{
	(void)class;
	if (version != 1)
		return _URC_FATAL_PHASE1_ERROR;
	const uint8_t *table = (const uint8_t *)_Unwind_GetLanguageSpecificData(context);
	if (table == NULL)
		return _URC_CONTINUE_UNWIND;
	int before = 0;
	uintptr_t pc = _Unwind_GetIPInfo(context, &before);
	uintptr_t start = _Unwind_GetRegionStart(context);
	Row row;
	if (!find_row(table, pc - start - (before ? 0 : 1), &row))
		return _URC_CONTINUE_UNWIND;
	if ((actions & _UA_SEARCH_PHASE) != 0)
		return row.action != 0 ? _URC_HANDLER_FOUND : _URC_CONTINUE_UNWIND;
	personality_caught(exception);
	_Unwind_SetGR(context, __builtin_eh_return_data_regno(REG_EXCEPTION), (uintptr_t)exception);
	_Unwind_SetGR(context, __builtin_eh_return_data_regno(REG_SELECTOR), 0);
	_Unwind_SetIP(context, start + row.pad);
	return _URC_INSTALL_CONTEXT;
}

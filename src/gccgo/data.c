// SPDX-License-Identifier: BSD-3-Clause
// Variables of package runtime that libgo and inlined code read.
#include "gccgo/gccgo.h"

GODATA("runtime.buildVersion", String, build_version) = {"go1.18 gccgo undergo", 20};
GODATA("runtime.defaultGOROOT", String, default_goroot) = {"/usr", 4};
GODATA("runtime.cgoAlwaysFalse", bool, cgo_always_false) = false;

// What main packages that are not optimised name and never call.
static void
never_called(void)
{
	throw("a function of the runtime that nobody calls was called");
}

GOFUNC("runtime.gList.empty", void, rt_glist_empty, (void))
{
	never_called();
}
GOALIAS("runtime.gList.push", "runtime.gList.empty");
GOALIAS("runtime.gList.pushAll", "runtime.gList.empty");
GOALIAS("runtime.gList.pop", "runtime.gList.empty");

GOFUNC("__go_fieldtrack", void, rt_fieldtrack, (const uint8_t *text))
{
	(void)text;
}

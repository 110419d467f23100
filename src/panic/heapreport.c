// SPDX-License-Identifier: BSD-3-Clause
// The leak report: what is alive in the heap, and who allocated it.
//
//     heap: 1204 objects alive, 180416 bytes
//
//     160000 bytes: 1000 of size 160, typed "struct node", allocated by
//     go_alloc_typed(...)
//             ../src/api/heap.c:58 +0x3c
//     insert(...)
//             prog/tree.c:41 +0x1d
//
// The largest groups come first; what is left after some hundred is counted together. Naming needs
// more stack than a goroutine may have, so it happens on the stack that go_dump has.
#include <string.h>

#include "gc/gc_up.h"
#include "gc/live.h"
#include "panic/panic_impl.h"
#include "undergo/base.h"

enum { GROUPS_SHOWN = 200 };

static Turn report_turn; // somebody gathers or prints

static void
print_site(const Site *site)
{
	Walk w;
	memset(&w, 0, sizeof(w));
	for (uint16_t i = 0; i < site->n_pcs && w.n < WALK_HALF; i++)
		w.inner[w.n++] = (Frame){.pc = site->pcs[i]};
	trace_print(&w, false);
}

static void
line_group(Line *l, const LiveGroup *g)
{
	line_u64(l, g->all_bytes);
	line_str(l, " bytes: ");
	line_u64(l, g->objects);
	if (g->bytes == 0) {
		line_str(l, " of other sizes and sites");
		return;
	}
	line_str(l, " of size ");
	line_u64(l, g->bytes);
	line_str(l, ", ");
	line_str(l, heap_kind_name((Kind)g->kind));
	if (g->type != NULL && g->type->name != NULL) {
		line_str(l, " \"");
		line_str(l, g->type->name);
		line_str(l, "\"");
	}
	if (g->site != 0)
		line_str(l, ", allocated by");
}

static void
print_group(const LiveGroup *g)
{
	Line l = {0};
	line_end(&l);
	line_group(&l, g);
	line_end(&l);
	if (g->site != 0)
		print_site(site_of(g->site));
}

static void
print_rest(const LiveReport *r)
{
	Line l = {0};
	uint64_t objects = 0, bytes = 0;
	for (size_t i = GROUPS_SHOWN; i < r->n; i++) {
		objects += r->groups[i].objects;
		bytes += r->groups[i].all_bytes;
	}
	line_end(&l);
	line_u64(&l, bytes);
	line_str(&l, " bytes: ");
	line_u64(&l, objects);
	line_str(&l, " in smaller groups");
	line_end(&l);
}

static void
print_report(void *v)
{
	const LiveReport *r = v;
	Line l = {0};
	line_str(&l, "heap: ");
	line_u64(&l, r->objects);
	line_str(&l, " objects alive, ");
	line_u64(&l, r->all_bytes);
	line_str(&l, " bytes");
	line_end(&l);
	for (size_t i = 0; i < r->n && i < GROUPS_SHOWN; i++)
		print_group(&r->groups[i]);
	if (r->n > GROUPS_SHOWN)
		print_rest(r);
}

int
panic_heap_report(int fd)
{
	LiveReport r;
	turn_take(&report_turn);
	sched_enter();
	int err = live_report(&r) ? 0 : GO_ENOMEM;
	sched_leave();
	if (err == 0 && !dump_stack_run(fd, print_report, &r))
		err = GO_EIO;
	live_report_free(&r);
	turn_give(&report_turn);
	return err;
}

void
up_report_leaks(void)
{
	(void)panic_heap_report(2);
}

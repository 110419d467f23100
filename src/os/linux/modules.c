// SPDX-License-Identifier: BSD-3-Clause
// What is mapped into the process: what the loader has loaded, and all there is.
//
// The loader's list is read twice. Before threads are halted its own function walks it, under its
// lock; afterwards, when that lock may be held by a thread that stands still, we follow the chain
// that it keeps for debuggers, and only to see whether anything has changed.
//
// Thread-locals, as glibc lays them out: blocks of what was loaded at the start lie beside the
// thread pointer, at the same distance in all threads; so do those of later modules that insist, in
// a small reserve. The others are made at first use. All, once made, stand in the thread's table
// (the dtv), of which a thread that is just making it longer may show us old memory: so it is read
// with care.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "os/linux/kept.h"
#include "os/linux/syscall.h"
#include "os/os_impl.h"

enum {
	TLS_RESERVE = 2048, // of what glibc reserves for modules that insist
	LEFT_OUT_MAX = 16,
};

// An entry of the dtv. The one before the first holds the number of entries.
typedef struct DtvEntry {
	uintptr_t value;
	uintptr_t to_free; // 0: it lies beside the thread pointer; glibc 2.25 and later
} DtvEntry;

// What was named to be left out. Half an entry counts as none: hi is set last.
static struct {
	ATOMIC(uintptr_t) lo, hi;
} left_out[LEFT_OUT_MAX];
static ATOMIC_U32 n_left_out; // claimed

// --- the loader's list --------------------------------------------------------------------------

// Reads what the loader has written, of which the sanitizers know no order.
#define READS_ANYTHING __attribute__((no_sanitize("address", "thread")))

static inline __attribute__((always_inline)) uint64_t
mix(uint64_t digest, uint64_t v)
{
	return (digest ^ v) * UINT64_C(0x100000001b3) + (digest >> 29);
}

// The chain for debuggers; 0: the loader is at work.
READS_ANYTHING static uint64_t
chain_digest(void)
{
	uint64_t digest = UINT64_C(0xcbf29ce484222325);
	const struct r_debug *d = &_r_debug;
	while (d != NULL) {
		if (d->r_state != RT_CONSISTENT)
			return 0;
		for (const struct link_map *l = d->r_map; l != NULL; l = l->l_next) {
			digest = mix(digest, (uintptr_t)l);
			digest = mix(digest, l->l_addr);
			digest = mix(digest, (uintptr_t)l->l_ld);
		}
		// From version 2 on the next namespace follows.
		const struct r_debug *const *next = (const void *)(d + 1);
		d = d->r_version >= 2 ? *next : NULL;
	}
	return digest != 0 ? digest : 1;
}

bool
os_modules_same(const OsModules *m)
{
	uint64_t digest = chain_digest();
	return digest != 0 && digest == m->digest;
}

// --- modules ------------------------------------------------------------------------------------

typedef struct Walk {
	OsModules *m;
	bool fits;
} Walk;

void
os_modules_leave_out(const void *p, size_t bytes)
{
	uint32_t i = add_rlx(&n_left_out, 1); // order: claim
	if (i >= LEFT_OUT_MAX)
		return;
	store_rlx(&left_out[i].lo, (uintptr_t)p);         // order: published by hi
	store_rel(&left_out[i].hi, (uintptr_t)p + bytes); // order: publish -> next_left_out
}

// The lowest of what is left out of [lo, hi); hi is 0 when there is none.
static OsRange
next_left_out(uintptr_t lo, uintptr_t hi)
{
	OsRange first = {hi, 0};
	for (int i = 0; i < LEFT_OUT_MAX; i++) {
		uintptr_t end = load_acq(&left_out[i].hi); // order: observe <- os_modules_leave_out
		uintptr_t at = load_rlx(&left_out[i].lo);  // order: with hi
		if (lo <= at && at < end && end <= hi && at < first.lo)
			first = (OsRange){at, end};
	}
	return first;
}

static void
add_range(Walk *w, uintptr_t lo, uintptr_t hi)
{
	OsModules *m = w->m;
	if (lo >= hi)
		return;
	if (m->n_data < m->data_cap)
		m->data[m->n_data] = (OsRange){lo, hi};
	else
		w->fits = false;
	m->n_data++;
}

static void
add_data(Walk *w, uintptr_t lo, uintptr_t hi)
{
	for (OsRange r; (r = next_left_out(lo, hi)).hi != 0; lo = r.hi)
		add_range(w, lo, r.lo);
	add_range(w, lo, hi);
}

// Whether this thread's block of a module lies beside the thread pointer. Then all threads have it
// at the same distance.
static bool
is_beside(size_t module, uintptr_t at)
{
	const DtvEntry *dtv = *(const DtvEntry *const *)thread_dtv_slot(thread_pointer());
	return module <= dtv[-1].value && dtv[module].value == at && dtv[module].to_free == 0;
}

// [at, at + bytes) lies beside the thread pointer.
static void
note_distance(OsModules *m, uintptr_t at, size_t bytes)
{
	uintptr_t tp = thread_pointer();
	if (TLS_GROWS_DOWN && tp - at > m->tls_below)
		m->tls_below = tp - at;
	if (!TLS_GROWS_DOWN && at + bytes - tp > m->tls_above)
		m->tls_above = at + bytes - tp;
}

static void
add_tls(Walk *w, const struct dl_phdr_info *info, size_t bytes)
{
	OsModules *m = w->m;
	size_t module = info->dlpi_tls_modid;
	uintptr_t at = (uintptr_t)info->dlpi_tls_data;
	if (module == 0)
		return;
	if (at != 0 && is_beside(module, at)) {
		note_distance(m, at, bytes);
		return;
	}
	if (m->n_tls < m->tls_cap)
		m->tls[m->n_tls] = (OsTls){module, bytes};
	else
		w->fits = false;
	m->n_tls++;
}

// What the loader protects after relocation is constant and holds nothing of the program's.
static uintptr_t
protected_end(const struct dl_phdr_info *info, uintptr_t lo)
{
	size_t page = os_page_bytes();
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t at = info->dlpi_addr + ph->p_vaddr;
		if (ph->p_type == PT_GNU_RELRO && (at & ~(page - 1)) <= lo && lo <= at)
			return (at + ph->p_memsz) & ~(page - 1);
	}
	return lo;
}

static int
add_module(struct dl_phdr_info *info, size_t size, void *v)
{
	Walk *w = v;
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t lo = info->dlpi_addr + ph->p_vaddr;
		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_W) != 0)
			add_data(w, protected_end(info, lo), lo + ph->p_memsz);
		else if (ph->p_type == PT_TLS && ph->p_memsz != 0)
			add_tls(w, info, ph->p_memsz);
	}
	w->m->digest = chain_digest(); // under the lock of the walk
	return 0;
}

bool
os_modules_list(OsModules *m)
{
	Walk w = {m, true};
	m->n_data = m->n_tls = 0;
	m->tls_below = THREAD_RECORD_BELOW;
	m->tls_above = THREAD_RECORD_ABOVE;
	dl_iterate_phdr(add_module, &w);
	m->tls_spare = TLS_GROWS_DOWN ? TLS_RESERVE : 0;
	m->tls_below += m->tls_spare;
	m->tls_above += TLS_RESERVE - m->tls_spare;
	return w.fits;
}

// --- tables of thread-locals ---------------------------------------------------------------------

#define UNALLOCATED UINTPTR_MAX

READS_ANYTHING uintptr_t
os_tls_block(uintptr_t tp, const OsTls *t)
{
	uintptr_t slot = thread_dtv_slot(tp);
	const DtvEntry *dtv = os_mapped(slot, sizeof(dtv)) ? *(const DtvEntry *const *)slot : NULL;
	if (dtv == NULL || !os_mapped((uintptr_t)(dtv - 1), sizeof(*dtv)) ||
	    t->module > dtv[-1].value ||
	    !os_mapped((uintptr_t)&dtv[t->module], sizeof(*dtv)))
		return 0;
	uintptr_t at = dtv[t->module].value;
	return at != 0 && at != UNALLOCATED && at % sizeof(void *) == 0 && os_mapped(at, t->bytes)
		       ? at
		       : 0;
}

// --- mappings -----------------------------------------------------------------------------------

// Pages that are not mapped are the kernel's one reason to refuse.
bool
os_mapped(uintptr_t p, size_t bytes)
{
	unsigned char there[64];
	size_t page = os_page_bytes();
	uintptr_t at = p & ~(page - 1), end = (p + bytes + page - 1) & ~(page - 1);
	while (at < end) {
		size_t n = end - at < sizeof(there) * page ? end - at : sizeof(there) * page;
		if (syscall3(SYS_mincore, at, n, there) != 0)
			return false;
		at += n;
	}
	return true;
}

// Fields of a line: lo-hi perms offset device inode name.
enum { FIELD_LO, FIELD_HI, FIELD_PERMS, FIELD_INODE = 5, FIELD_NAME };

// The kernel reads a mask from there before it finds that we ask for nonsense.
static bool
readable(uintptr_t p)
{
	return syscall4(SYS_rt_sigprocmask, -1, p & ~(uintptr_t)7, NULL, 8) != -EFAULT;
}

uintptr_t
os_readable_up(uintptr_t lo, uintptr_t hi)
{
	size_t page = os_page_bytes();
	uintptr_t at = lo;
	while (at < hi && readable(at))
		at = (at | (page - 1)) + 1;
	return at < hi ? at : hi;
}

uintptr_t
os_readable_down(uintptr_t lo, uintptr_t hi)
{
	size_t page = os_page_bytes();
	uintptr_t at = hi;
	while (at > lo && readable(at - 1))
		at = (at - 1) & ~(page - 1);
	return at > lo ? at : lo;
}

typedef struct MapsReader {
	OsRange *out;
	uint32_t max, n;
	bool joins; // the last in `out` is memory of no file
	// Of the line being read:
	int field;
	OsRange now;
	bool readable;
	bool of_file;
} MapsReader;

static void
line_ends(MapsReader *r)
{
	// Memory of no file in pieces next to each other is one: a stack of which the kernel has
	// been told different things.
	bool joins = r->joins && !r->of_file && r->readable && r->n <= r->max &&
		     r->out[r->n - 1].hi == r->now.lo;
	if (joins) {
		r->out[r->n - 1].hi = r->now.hi;
	} else if (r->readable) {
		if (r->n < r->max)
			r->out[r->n] = r->now;
		r->n++;
	}
	r->joins = r->readable && !r->of_file;
	r->field = FIELD_LO;
	r->now = (OsRange){0, 0};
	r->readable = r->of_file = false;
}

static void
take(MapsReader *r, char c)
{
	if (c == '\n') {
		line_ends(r);
	} else if (r->field <= FIELD_HI) {
		uintptr_t *v = r->field == FIELD_LO ? &r->now.lo : &r->now.hi;
		if (c == '-' || c == ' ')
			r->field++;
		else
			*v = *v << 4 | (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	} else if (c == ' ') {
		r->field += r->field < FIELD_NAME;
	} else if (r->field == FIELD_PERMS) {
		r->readable |= c == 'r';
	} else if (r->field == FIELD_INODE) {
		r->of_file |= c != '0';
	}
}

static KeptFile maps_file = {.path = "/proc/self/maps"};

void
sys_mappings_ready(void)
{
	bool own;
	int fd = kept_open(&maps_file, &own);
	kept_close(fd, own);
}

int
sys_mappings(OsRange *out, uint32_t max)
{
	char text[4096]; // the kernel gives a page at a time
	MapsReader r = {.out = out, .max = max};
	bool own;
	int fd = kept_open(&maps_file, &own);
	if (fd < 0)
		return fd;
	long n, at = 0;
	while ((n = syscall4(SYS_pread64, fd, text, sizeof(text), at)) > 0) {
		for (long i = 0; i < n; i++)
			take(&r, text[i]);
		at += n;
	}
	kept_close(fd, own);
	return n < 0 ? (int)n : (int)r.n;
}

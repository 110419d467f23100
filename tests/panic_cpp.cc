// SPDX-License-Identifier: BSD-3-Clause
// A program of C++ whose functions panics leave. Exits with 0 when all is as panic.h says.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include <undergo.h>

static std::string trail;

#define EXPECT(cond)                                                            \
	do {                                                                    \
		if (!(cond)) {                                                  \
			std::fprintf(stderr, "%d: %s (%s)\n", __LINE__, #cond, trail.c_str()); \
			std::_Exit(1);                                          \
		}                                                               \
	} while (0)

namespace {

struct Mark {
	const char *text;
	explicit Mark(const char *t) : text(t) {}
	~Mark() { trail += text; }
};

void
mark(void *text)
{
	trail += static_cast<const char *>(text);
}

void *
text(const char *t)
{
	return const_cast<char *>(t);
}

void
fail(void *)
{
	Mark a("a");
	GO_DEFER(mark, text("1"));
	Mark b("b");
	GO_DEFER(mark, text("2"));
	go_panic_text("lost");
}

void
fail_further_in(void *)
{
	Mark c("c");
	std::string s(1000, 'x'); // LeakSanitizer looks after it
	fail(nullptr);
}

// All that is deferred, and then destructors from the inside out.
void
destructors()
{
	go_value v = go_protect(fail_further_in, nullptr);
	EXPECT(go_panicked(v) && std::strcmp(v.text, "lost") == 0);
	EXPECT(trail == "21bac");
	trail.clear();
}

void
catch_and_throw(void *)
{
	Mark d("d");
	try {
		fail(nullptr);
	} catch (...) {
		trail += "...";
		throw;
	}
}

void
rethrown()
{
	EXPECT(go_panicked(go_protect(catch_and_throw, nullptr)));
	EXPECT(trail == "21ba...d");
	trail.clear();
}

void
catch_and_keep(void *)
{
	try {
		fail(nullptr);
	} catch (...) {
	}
}

void
throws(void *)
{
	GO_DEFER(mark, text("t"));
	throw std::runtime_error("of C++");
}

// An exception passes go_protect, which is then over; deferred calls of its blocks run.
void
exceptions()
{
	for (int i = 0; i < 3; i++) {
		bool caught = false;
		try {
			(void)go_protect(throws, nullptr);
		} catch (const std::runtime_error &) {
			caught = true;
		}
		EXPECT(caught && trail == "t");
		trail.clear();
	}
	destructors();
}

void
throw_now(void *)
{
	throw std::runtime_error("out of a deferred function");
}

void
panic_before_throw(void *)
{
	Mark g("g");
	GO_DEFER(mark, text("o"));
	GO_DEFER(throw_now, nullptr);
	GO_DEFER(mark, text("i"));
	go_panic_text("overtaken");
}

void
panic_in_panic_before_throw(void *)
{
	GO_DEFER(panic_before_throw, nullptr);
	go_panic_text("overtaken too");
}

void
end_before_throw(void *)
{
	GO_DEFER(mark, text("e"));
	GO_DEFER(throw_now, nullptr);
}

// What the frames that are gone lay in.
__attribute__((noinline)) void
overwrite(int depth)
{
	volatile char room[1024];
	for (volatile char &c : room)
		c = static_cast<char>(0xee);
	if (depth > 0)
		overwrite(depth - 1);
}

void
recover_nothing(void *)
{
	EXPECT(!go_panicked(go_recover()));
}

// An exception out of a deferred function, whoever has called that, ends the panic. What was
// deferred further out runs, and panics begin anew.
void
exceptions_of_deferred()
{
	struct {
		void (*fn)(void *);
		const char *trail;
	} cases[] = {{panic_before_throw, "iog"}, {panic_in_panic_before_throw, "iog"},
		     {end_before_throw, "e"}};
	for (auto &c : cases) {
		for (int protect = 0; protect < 2; protect++) {
			bool caught = false;
			try {
				if (protect == 1)
					(void)go_protect(c.fn, nullptr);
				else
					c.fn(nullptr);
			} catch (const std::runtime_error &) {
				caught = true;
			}
			overwrite(8);
			EXPECT(caught && trail == c.trail);
			trail.clear();
			{
				GO_DEFER(recover_nothing, nullptr);
			}
			destructors();
		}
	}
}

// It is caught in the block whose deferred function has thrown it.
void
exception_stays_inside()
{
	{
		GO_DEFER(mark, text("k"));
		GO_DEFER(throw_now, nullptr);
		try {
			go_panic_text("overtaken");
		} catch (const std::runtime_error &) {
			trail += "c";
		}
		overwrite(8);
		EXPECT(go_panicked(go_protect(fail, nullptr)));
	}
	EXPECT(trail == "c21bak");
	trail.clear();
}

struct Protecting {
	~Protecting() { EXPECT(go_panicked(go_protect(fail, nullptr))); }
};

void
fail_protecting(void *)
{
	Protecting p;
	go_panic_text("outer");
}

// A destructor that runs because of a panic may have panics of its own, and catch them.
void
panic_in_destructor()
{
	go_value v = go_protect(fail_protecting, nullptr);
	EXPECT(go_panicked(v) && std::strcmp(v.text, "outer") == 0);
	EXPECT(trail == "21ba");
	trail.clear();
}

struct Done {
	go_waitgroup *wg;
	~Done() { go_wg_done(wg); }
};

void
leave(void *wg)
{
	Done last{static_cast<go_waitgroup *>(wg)};
	Mark e("e");
	GO_DEFER(mark, text("x"));
	go_exit();
}

struct ProtectingDeep {
	~ProtectingDeep()
	{
		overwrite(8);
		EXPECT(go_panicked(go_protect(fail, nullptr)));
	}
};

void
leave_protecting(void *wg)
{
	Done last{static_cast<go_waitgroup *>(wg)};
	ProtectingDeep p;
	go_exit();
}

// A destructor that runs because of go_exit may have panics too.
void
panic_in_exit()
{
	go_waitgroup wg = {};
	go_wg_add(&wg, 1);
	EXPECT(go_spawn(leave_protecting, &wg) == 0);
	go_wg_wait(&wg, GO_NEVER);
	EXPECT(trail == "21ba");
	trail.clear();
}

void
exits()
{
	go_waitgroup wg = {};
	go_wg_add(&wg, 1);
	EXPECT(go_spawn(leave, &wg) == 0);
	go_wg_wait(&wg, GO_NEVER);
	EXPECT(trail == "xe");
	trail.clear();
}

int
all(void *)
{
	destructors();
	rethrown();
	exceptions();
	exceptions_of_deferred();
	exception_stays_inside();
	panic_in_destructor();
	panic_in_exit();
	exits();
	return 0;
}

int
swallow(void *)
{
	(void)go_protect(catch_and_keep, nullptr);
	return 0;
}

} // namespace

int
main(int argc, char **argv)
{
	return go_run(argc > 1 && std::strcmp(argv[1], "swallow") == 0 ? swallow : all, nullptr);
}

// SPDX-License-Identifier: BSD-3-Clause
// Rival: Boost.Fiber, and Boost.Context for the raw switch.
//
// Rows: switch, yield, spawn, chan_unbuf, chan_buf, mutex, mutex_cont, sleep50us, parked, million,
// chan_prodcons, spawn_par, wg, idle. It has no select and no timer that calls a function.
//
// Rows on one P run in the thread of main under the default algorithm, round robin. Rows on all Ps:
//   mutex_cont, chan_prodcons   as many threads as processors, each with its share of the fibers
//   spawn_par                   the work_stealing algorithm on as many threads, looking for work
//                               without sleeping: asleep, nobody wakes them to steal
// A buffered channel's capacity has to be a power of two, and one place stays empty: see
// docs/bench.md.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <boost/context/fiber.hpp>
#include <boost/fiber/all.hpp>

#include "../bench.h"

namespace bc = boost::context;
namespace bf = boost::fibers;

namespace {

unsigned
processors()
{
	unsigned n = std::thread::hardware_concurrency();

	return n > 0 ? n : 1;
}

void
switch_body(int64_t n)
{
	int64_t turns = 0;
	bool stop = false;
	bc::fiber other{[&](bc::fiber &&back) {
		while (!stop) {
			turns++;
			back = std::move(back).resume();
		}
		return std::move(back);
	}};

	for (int64_t i = 0; i < n; i++)
		other = std::move(other).resume();
	stop = true;
	other = std::move(other).resume();
	bench_check(turns == n, "switch: lost a turn");
}

void
row_switch()
{
	bench_row("switch", switch_body, 2);
}

void
yield_body(int64_t n)
{
	int64_t turns = 0;
	auto loop = [&] {
		for (int64_t i = 0; i < n; i++) {
			turns++;
			boost::this_fiber::yield();
		}
	};
	bf::fiber a{loop}, b{loop};

	a.join();
	b.join();
	bench_check(turns == 2 * n, "yield: lost a turn");
}

void
row_yield()
{
	bench_row("yield", yield_body, 2);
}

// Started detached and run by a yield, as the goroutine of this row is.
void
spawn_body(int64_t n)
{
	int64_t ran = 0;
	bf::pooled_fixedsize_stack pool;

	for (int64_t i = 0; i < n; i++) {
		bf::fiber(std::allocator_arg, pool, [&] { ran++; }).detach();
		boost::this_fiber::yield();
	}
	bench_check(ran == n, "spawn: lost a fiber");
}

void
row_spawn()
{
	bench_row("spawn", spawn_body, 1);
}

// Boost.Fiber has no wait group; joining each of the hundred is its way. Its default allocator goes
// back to the system for most of the hundred stacks, each round; its pooled one is 25 times faster.
void
wg_body(int64_t n)
{
	int64_t ran = 0;
	bf::pooled_fixedsize_stack pool;
	bf::fiber f[BENCH_FANOUT];

	for (int64_t i = 0; i < n; i++) {
		for (auto &x : f)
			x = bf::fiber(std::allocator_arg, pool, [&] { ran++; });
		for (auto &x : f)
			x.join();
	}
	bench_check(ran == n * BENCH_FANOUT, "wg: lost a fiber");
}

void
row_wg()
{
	bench_row("wg", wg_body, BENCH_FANOUT);
}

void
chan_unbuf_body(int64_t n)
{
	bf::unbuffered_channel<int64_t> ping, pong;
	int64_t sum = 0;
	bf::fiber echo{[&] {
		for (int64_t i = 0; i < n; i++)
			pong.push(ping.value_pop() + 1);
	}};

	for (int64_t i = 0; i < n; i++) {
		ping.push(0);
		sum += pong.value_pop();
	}
	echo.join();
	bench_check(sum == n, "chan_unbuf: lost a message");
}

void
row_chan_unbuf()
{
	bench_row("chan_unbuf", chan_unbuf_body, 1);
}

void
chan_buf_body(int64_t n)
{
	bf::buffered_channel<int64_t> c{16};
	int64_t sum = 0, v = 0;

	for (int64_t i = 0; i < n; i++) {
		c.push(1);
		c.pop(v);
		sum += v;
	}
	bench_check(sum == n, "chan_buf: lost an element");
}

void
row_chan_buf()
{
	bench_row("chan_buf", chan_buf_body, 1);
}

void
mutex_body(int64_t n)
{
	static bf::mutex lock;

	for (int64_t i = 0; i < n; i++) {
		lock.lock();
		lock.unlock();
	}
}

void
row_mutex()
{
	bench_row("mutex", mutex_body, 1);
}

// Runs fn(0) ... fn(nfibers - 1) as fibers, dealt out over as many threads as there are processors.
template <typename F>
void
deal_out(int nfibers, F fn)
{
	unsigned nthreads = processors();
	std::vector<std::thread> threads;

	for (unsigned t = 0; t < nthreads; t++)
		threads.emplace_back([=] {
			std::vector<bf::fiber> mine;
			for (int i = (int)t; i < nfibers; i += (int)nthreads)
				mine.emplace_back([=] { fn(i); });
			for (auto &f : mine)
				f.join();
		});
	for (auto &t : threads)
		t.join();
}

void
mutex_cont_body(int64_t n)
{
	static bf::mutex lock;
	static volatile int64_t guarded;

	guarded = 0;
	deal_out(BENCH_LOCKERS, [=](int) {
		for (int64_t i = 0; i < n; i++) {
			lock.lock();
			guarded = guarded + 1;
			lock.unlock();
		}
	});
	bench_check(guarded == n * BENCH_LOCKERS, "mutex_cont: lost a turn");
}

void
row_mutex_cont()
{
	bench_row("mutex_cont", mutex_cont_body, BENCH_LOCKERS);
}

// Fibers 0, 1, 4, 5 produce and 2, 3, 6, 7 consume, so that two threads get both kinds.
void
chan_prodcons_body(int64_t n)
{
	bf::buffered_channel<int64_t> c{128};
	std::atomic<int64_t> consumed{0};

	deal_out(2 * BENCH_PRODUCERS, [&c, &consumed, n](int who) {
		int64_t sum = 0;
		for (int64_t i = 0; i < n; i++)
			if (who / 2 % 2 == 0)
				c.push(1);
			else
				sum += c.value_pop();
		consumed += sum;
	});
	bench_check(consumed == n * BENCH_PRODUCERS, "chan_prodcons: lost an element");
}

void
row_chan_prodcons()
{
	bench_row("chan_prodcons", chan_prodcons_body, BENCH_PRODUCERS);
}

void
sleep_ns(int64_t ns)
{
	boost::this_fiber::sleep_for(std::chrono::nanoseconds(ns));
}

void
nap()
{
	sleep_ns(BENCH_SLEEP_NS);
}

void
row_sleep50us()
{
	bench_sleeps("sleep50us", nap);
}

bf::mutex gate_lock;
bf::condition_variable gate;
bool gate_open;
int waiting;

void
park()
{
	std::unique_lock<bf::mutex> hold(gate_lock);

	waiting++;
	while (!gate_open)
		gate.wait(hold);
	waiting--;
}

void
park_all(int n)
{
	for (int i = 0; i < n; i++)
		bf::fiber(park).detach();
	while (waiting < n)
		boost::this_fiber::yield();
}

void
release_all()
{
	gate_lock.lock();
	gate_open = true;
	gate_lock.unlock();
	gate.notify_all();
	while (waiting > 0)
		boost::this_fiber::yield();
}

void
measure_parked(const char *row, int n)
{
	struct bench_mem before = bench_mem_now();

	park_all(n);
	struct bench_mem full = bench_mem_now();
	release_all();
	bench_print_mem(row, before, full, n);
}

void
row_parked()
{
	measure_parked("parked", BENCH_PARKED);
}

void
row_million()
{
	measure_parked("million", 1000000);
}

void
row_idle()
{
	park_all(BENCH_IDLE_TASKS);
	bench_idle("idle", sleep_ns);
	release_all();
}

using TreeChannel = bf::buffered_channel<int64_t>;

void
tree(TreeChannel &up, int64_t first, int64_t size)
{
	if (size == 1) {
		up.push(first);
		return;
	}
	TreeChannel down{16};
	int64_t sum = 0;
	for (int64_t i = 0; i < 10; i++)
		bf::fiber([&down, first, size, i] {
			tree(down, first + i * size / 10, size / 10);
		}).detach();
	for (int i = 0; i < 10; i++)
		sum += down.value_pop();
	up.push(sum);
}

int64_t
tree_once()
{
	TreeChannel root{2};

	bf::fiber([&root] { tree(root, 0, BENCH_TREE_LEAVES); }).detach();
	return root.value_pop();
}

// One tree is one measurement, after a first one to warm up. The other threads only steal.
void
row_spawn_par()
{
	unsigned n = processors();
	bool done = false;
	std::mutex m;
	bf::condition_variable_any finished;
	std::vector<std::thread> threads;

	for (unsigned t = 1; t < n; t++)
		threads.emplace_back([&] {
			bf::use_scheduling_algorithm<bf::algo::work_stealing>(n, false);
			std::unique_lock<std::mutex> hold(m);
			finished.wait(hold, [&] { return done; });
		});
	bf::use_scheduling_algorithm<bf::algo::work_stealing>(n, false);

	bench_check(tree_once() == bench_tree_sum, "spawn_par: wrong sum");
	int64_t cpu = bench_cpu();
	int64_t wall = bench_wall();
	bench_check(tree_once() == bench_tree_sum, "spawn_par: wrong sum");
	bench_print("spawn_par", bench_cpu() - cpu, bench_wall() - wall, BENCH_TREE_NODES, "");

	m.lock();
	done = true;
	m.unlock();
	finished.notify_all();
	for (auto &t : threads)
		t.join();
}

} // namespace

int
main(int argc, char **argv)
{
	static const struct bench_entry rows[] = {
	    {"switch", row_switch},
	    {"yield", row_yield},
	    {"spawn", row_spawn},
	    {"chan_unbuf", row_chan_unbuf},
	    {"chan_buf", row_chan_buf},
	    {"mutex", row_mutex},
	    {"mutex_cont", row_mutex_cont},
	    {"sleep50us", row_sleep50us},
	    {"parked", row_parked},
	    {"million", row_million},
	    {"chan_prodcons", row_chan_prodcons},
	    {"spawn_par", row_spawn_par},
	    {"wg", row_wg},
	    {"idle", row_idle},
	};

	return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

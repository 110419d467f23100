# SPDX-License-Identifier: BSD-3-Clause
# The way in. The build itself is Meson's (meson.build); this file names what one may want.
#
#	make                   build the library, undergo.pc, examples and benches into build/
#	make run               build, then run the showcase
#	make check             build and run everything that is checked; about a quarter of an hour
#	make check SANITIZE=x  the test suite under a sanitizer: address, thread or undefined
#	make conformance       Go's own tests, upon the Go face: programs, the runtime's and the
#	                       library's; PROCS=1,2,7 sets GOMAXPROCS, LEVEL=0 the compiler's -O,
#	                       with FRONTS=1 parts of the runtime are inlined into them
#	make stress            the tests meant for it, long, in the stress build
#	make bench             measure, beside whatever else is there to compare with
#	make install PREFIX=p  install below p (default /usr/local), DESTDIR before it
#	make clean             remove what builds have left
#
# Missing Debian packages are installed first, see scripts/need.

PREFIX ?=
DESTDIR ?=
SANITIZE ?=

# Make has a CC of its own, `cc`. Only one that somebody chose counts.
ifneq ($(filter default undefined,$(origin CC)),)
CC := gcc
endif
# Relative folders are below this one.
override PREFIX := $(abspath $(PREFIX))
override DESTDIR := $(abspath $(DESTDIR))
export CC
unexport PREFIX DESTDIR

BUILDS := build build-debug build-stress build-clang build-fuzz build-address build-thread \
	build-undefined build-aarch64

.PHONY: build run check conformance stress bench install clean

build:
	@scripts/need run
	@scripts/build build

run: build
	@build/examples/showcase

check:
	@scripts/need check
	@scripts/check $(if $(SANITIZE),--sanitize $(SANITIZE))

conformance:
	@scripts/need conformance
	@scripts/build build
	@tests/go/conformance --build build $(if $(PROCS),--procs $(PROCS)) \
		$(if $(LEVEL),-O $(LEVEL)) $(if $(FRONTS),--fronts)
	@tests/go/testprog --build build $(if $(FRONTS),--fronts)
	@tests/go/std --build build $(if $(PROCS),--procs $(PROCS))
	@tests/go/std --build build --anew $(if $(PROCS),--procs $(PROCS))

stress:
	@scripts/need run
	@scripts/stress

bench:
	@scripts/need bench
	@scripts/build build
	@bench/run

install:
	@scripts/need run
	@PREFIX='$(or $(PREFIX),/usr/local)' scripts/build build
	@meson install -C build --no-rebuild --quiet $(if $(DESTDIR),--destdir '$(DESTDIR)')

clean:
	@rm -rf $(BUILDS) $(BUILDS:=.log) .need.left-out

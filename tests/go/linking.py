# SPDX-License-Identifier: BSD-3-Clause
"""How Go programs are compiled and linked with this runtime: the flags for gccgo."""

import pathlib
import sys


def need(build, fronts=False):
    """Ends the tool where there is no runtime to link with: gccgo would take its own."""
    archive = pathlib.Path(build) / ('go/front' if fronts else 'go') / 'libgobegin.a'
    if not archive.exists():
        sys.exit(f'{sys.argv[0]}: there is no {archive}: make it by `scripts/build '
                 f'{pathlib.Path(build).name}`, where gccgo-12 is installed, or name another '
                 'build folder with --build')


def compile_flags(fronts):
    """With fronts, parts of the runtime are inlined at the link, as `undergo build` wants it."""
    return ['-flto=auto', '--param=max-inline-insns-single=400'] if fronts else []


def link_flags(build, fronts):
    """build: a pathlib.Path."""
    front = ['-L', build / 'go/front'] if fronts else []
    return [*compile_flags(fronts), *front, '-static-libgo', '-L', build / 'go']


def flags_of_tool(build, fronts, more):
    """The same for the go command, for all packages of the program."""
    return ['-gccgoflags', 'all=' + ' '.join(map(str, [*more, *link_flags(build, fronts)]))]

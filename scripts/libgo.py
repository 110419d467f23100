# SPDX-License-Identifier: BSD-3-Clause
"""The sources from which Debian has made gccgo 12's library, and what that library holds."""

import dataclasses
import pathlib
import re
import subprocess
import tarfile

PACKED = '/usr/src/gcc-12'
LIST = pathlib.Path(__file__).resolve().parent.parent / 'go/library.txt'

# How packages are compiled anew.
# -mtune-ctrl: text headers, slices and interfaces are copied word by word. Their words have just
#     been stored one by one, and a load of two cannot be forwarded from two stores.
# -fno-tree-vectorize: what it vectorizes are pairs of such words, for the same loss.
# --param: more is inlined than by -O3, which does no more here: what reflection, scanning and
#     writing are made of is small functions.
# And not -minline-all-stringops, with which libgo is made: copies and comparisons are calls.
FLAGS = '''-O2 -g -fno-tree-vectorize
    -mtune-ctrl=^sse_unaligned_load_optimal,^sse_unaligned_store_optimal
    --param=max-inline-insns-auto=60 --param=max-inline-insns-single=400
    --param=early-inlining-insns=20 --param=inline-min-speedup=10
    --param=inline-unit-growth=80 --param=large-function-growth=200'''.split()

SYSTEMS = set('''aix android darwin dragonfly freebsd hurd illumos ios js nacl netbsd openbsd plan9
    solaris windows zos linux'''.split())
PROCESSORS = set('''386 amd64 amd64p32 arm arm64 alpha ia64 loong64 m68k mips mipsle mips64 mips64le
    nios2 ppc ppc64 ppc64le riscv riscv64 s390 s390x sh shbe sparc sparc64 wasm'''.split())
TRUE = {'linux', 'amd64', 'unix', 'cgo', 'gccgo', 'goexperiment.fieldtrack'}


def said(gccgo, question):
    return subprocess.run([gccgo, question], capture_output=True, text=True,
                          check=True).stdout.strip()


def tool(gccgo, name):
    """The binutils that a compiler uses."""
    return said(gccgo, f'-print-prog-name={name}')


def packed(gccgo):
    """The sources of this compiler and its library; None if they are not there."""
    path = pathlib.Path(PACKED) / f'gcc-{said(gccgo, "-dumpfullversion")}-dfsg.tar.xz'
    return path if path.exists() else None


def listed(path=LIST):
    """The packages that are compiled anew."""
    lines = pathlib.Path(path).read_text().splitlines()
    return [word for line in lines if not line.startswith('#') for word in line.split()]


def unpack(archive, to):
    """The folder libgo, unpacked below another one."""
    whole = to / 'libgo.whole'
    if not whole.exists():
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name.partition('/')[2]
                if name.startswith('libgo/') and (member.isfile() or member.isdir()):
                    member.name = name
                    tar.extract(member, to)
        whole.touch()
    return to / 'libgo'


# --- which files belong to a package --------------------------------------------------------------

def named_for_others(name):
    """Whether a file's name says that it is for another system or processor."""
    words = re.sub(r'(_test)?\.go$', '', name).split('_')[1:]
    if words and words[-1] in PROCESSORS:
        return words[-1] != 'amd64' or words[-2:-1] and words[-2] in SYSTEMS - {'linux'}
    return bool(words) and words[-1] in SYSTEMS - {'linux'}


def constraint_holds(expression):
    """What follows //go:build, of this system and compiler."""
    def value(word):
        tag = word.group()
        return str(tag in TRUE or re.fullmatch(r'go1\.(\d|1[0-8])', tag) is not None)

    text = re.sub(r'[\w.]+', value, expression)
    text = text.replace('&&', ' and ').replace('||', ' or ').replace('!', ' not ')
    return eval(text.strip())  # pylint: disable=eval-used


def belongs(path):
    """Whether a file is compiled here."""
    if named_for_others(path.name) or path.name.startswith(('_', '.')):
        return False
    head = re.split(r'^package ', path.read_text(errors='replace'), maxsplit=1, flags=re.M)[0]
    wanted = re.search(r'^//go:build (.*)$', head, re.M)
    if wanted:
        return constraint_holds(wanted.group(1))
    return all(any(constraint_holds(word.replace(',', '&&')) for word in line.split())
               for line in re.findall(r'^// *\+build (.*)$', head, re.M))


# --- the library ----------------------------------------------------------------------------------

@dataclasses.dataclass
class Member:
    """A package of libgo.a."""
    object: pathlib.Path
    export: bytes  # what a compiler reads that imports it


def export_of(gccgo, path):
    """What an object says of its package to a compiler; b'' if it is none of Go."""
    raw = path.with_suffix('.raw')
    subprocess.run([tool(gccgo, 'objcopy'), '-O', 'binary', '-j', '.go_export',
                    '--set-section-flags', '.go_export=alloc', path, raw],
                   capture_output=True, check=True)
    text = raw.read_bytes() if raw.exists() else b''
    raw.unlink(missing_ok=True)
    return text


def members(gccgo, to, kept=()):
    """All packages of libgo.a, by their paths. Objects of those in `kept` stay in a folder."""
    to.mkdir(parents=True, exist_ok=True)
    subprocess.run([tool(gccgo, 'ar'), 'x', said(gccgo, '-print-file-name=libgo.a')], cwd=to,
                   check=True)
    found = {}
    for path in to.glob('*.o'):
        export = export_of(gccgo, path)
        named = re.search(rb'^pkgpath ([^;\n]+);?$', export, re.M)
        name = named.group(1).decode() if named else ''
        if name:
            found[name] = Member(path, export)
        if name not in kept:
            path.unlink()
    return found


def write_exports(packages, to):
    """Descriptions of packages for -I: Debian installs only those of the public ones."""
    for name, member in packages.items():
        export = to / (name + '.gox')
        export.parent.mkdir(parents=True, exist_ok=True)
        made = export.with_suffix('.part')
        made.write_bytes(member.export)
        made.replace(export)  # a compiler may be looking for it

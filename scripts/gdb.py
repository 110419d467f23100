# SPDX-License-Identifier: BSD-3-Clause
"""What gdb can be told about the goroutines and the heap of undergo. gdb loads it by itself, from
the section .debug_gdb_scripts of a program or library that undergo is in, if `set auto-load
safe-path` allows; otherwise `source .../gdb.py`.

    info goroutines           all of them: number, name, state, where it stands, where it began.
                              A star marks the one that the selected thread runs
    goroutine N COMMAND       the command of gdb (bt, info locals, up, ...) as if goroutine N ran on
                              the selected thread, or on the thread where it does run. N may be
                              `all`. Frames of one that waits count from 1
    undergo object ADDRESS    the object that the address points to or into: where it begins, its
                              size, kind and type, whether it is allocated and was marked by the
                              last collection, and with GODEBUG=allocsites=n where it was made

Everything is read from memory, so it works with a core file and while the process is stopped
anywhere. It needs the debug information of the library. Known to it: src/mem/heap.h (Heap,
PageInfo, Mspan), the static variables of span.c, alloc.c, procs.c, site.c and special.c;
src/sched/sched.h (G, M, GStatus), and what src/arch/*/switch.S saves.

A goroutine that waits has no thread, only what its switch saved. An unwinder of ours claims the
selected thread's newest frame while a command runs, and says that it was called by that.
"""

import re

import gdb
import gdb.unwinder

PAGE_SHIFT = 13
PAGE_WORDS = (1 << PAGE_SHIFT) // 16 // 64
MASKED_MAX = 512
KINDS = ['scan', 'typed', 'noscan', 'pinned', 'go']
TYPED = {1, 4}
RECORDS = ['finalizer', 'cleanup', 'weak pointer', 'sample of the heap profile']


def variable(name, file):
    """A variable of the library, even if the program has one of that name."""
    for scope in (f"'{file}'::{name}", name):
        try:
            return gdb.parse_and_eval(scope)
        except gdb.error:
            continue
    raise gdb.GdbError(f'undergo: no {name}: the library has no debug information here')


def plain(value):
    """What is in an ATOMIC(T)."""
    return value['atomic_v_'] if value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT else value


def text(pointer):
    return pointer.string() if int(pointer) != 0 else None


class Object:
    """The slot that an address lies in."""

    def __init__(self, addr):
        self.heap = variable('heap', 'mem/heap.c')
        base, limit = int(self.heap['base']), int(self.heap['limit'])
        if base == 0 or not base <= addr < base + limit:
            raise gdb.GdbError(f'{addr:#x} is not in the heap')
        page = (addr - base) >> PAGE_SHIFT
        info = self.heap['info'][page]
        self.live_span = int(plain(info['state'])) != 0
        if int(info['nelems']) == 0:
            raise gdb.GdbError(f'{addr:#x} is in a page of the heap that has never been used')
        self.page = page - int(info['back'])
        self.info = self.heap['info'][self.page]
        self.span = self.heap['spans'][self.page]
        self.start = base + (self.page << PAGE_SHIFT)
        self.size = int(info['size'])
        self.kind = int(info['kind'])
        self.large = self.size == 0
        self.index = 0 if self.large else (addr - self.start) // self.size
        if self.index >= int(self.info['nelems']):
            raise gdb.GdbError(f'{addr:#x} is behind the last object of its span')
        self.base = self.start + self.index * self.size
        if self.large:
            self.base += int(self.span['lead'])
            self.size = int(self.span['bytes'])

    def bit(self, row):
        word = plain(self.heap[row][self.page * PAGE_WORDS + self.index // 64])
        return int(word) >> (self.index % 64) & 1

    def in_hand(self):
        """The cache that has the slot in hand, not yet allocated; None."""
        caches = []
        procs = plain(variable('procs_array', 'sched/procs.c'))
        for i in range(int(plain(variable('sched_n_procs', 'sched/procs.c')))):
            caches.append((f'P {i}', procs[i]['mcache']))
        caches.append(('the threads without a P', plain(variable('shared_cache', 'gc/alloc.c'))))
        for owner, cache in caches:
            if int(cache) == 0:
                continue
            kind, sort = self.kind, int(self.span['class'])
            slots = cache['slots'][kind][sort]
            free = int(slots['free']) | int(cache['later'][kind][sort])
            if int(cache['spans'][kind][sort]) != int(self.span.address):
                continue
            if int(slots['word']) == self.index // 64 and free >> (self.index % 64) & 1:
                return owner
        return None

    def state(self):
        if not self.live_span:
            return 'freed, and so are its pages'
        if self.bit('frees'):
            return 'free'
        owner = None if self.large else self.in_hand()
        if owner:
            return f'free, in hand of {owner}'
        if self.kind == KINDS.index('pinned'):
            return 'allocated, until it is freed by hand'
        gen = int(plain(variable('heap_gen', 'mem/span.c'))) & 0xff
        if int(plain(self.span['gen'])) == gen:
            return 'allocated, ' + ('marked by the last collection' if self.bit('marks')
                                    else 'since the last collection')
        return 'allocated, marked by the last collection' if self.bit('marks') else \
            'dead, and not swept yet'

    def site(self):
        sites = variable('objsites', 'gc/site.c')
        if int(sites) == 0:
            return None
        number = int(sites[(self.base - int(self.heap['base'])) // 16])
        return variable('sites', 'gc/site.c')[number] if number != 0 else None

    def type(self):
        site = self.site()
        described = None
        if self.kind not in TYPED:
            return 'none: ' + {0: 'each word may be a pointer', 2: 'no pointers',
                               3: 'each word may be a pointer'}[self.kind]
        if site is not None and int(site['type']) != 0:
            described = site['type']
        elif self.large:
            described = self.span['type']
        elif self.size > MASKED_MAX:
            word = self.heap['types'][self.page * 16 + self.index]
            described = word.cast(self.span['type'].type)
        if described is not None and int(described) != 0:
            name = text(described['name'])
            return f'"{name}", {int(described["bytes"])} bytes' if name else 'without a name'
        words = self.size // 8
        at = self.index * words
        bits = [int(self.heap['types'][self.page * 16 + (at + i) // 64]) >> ((at + i) % 64) & 1
                for i in range(words)]
        where = [str(8 * i) for i, bit in enumerate(bits) if bit]
        return 'pointers at ' + ', '.join(where) if where else 'no pointers'

    def records(self):
        special = plain(self.span['specials'])
        if int(special) == 0:
            return []
        found = []
        special = special.cast(gdb.lookup_type('struct Special').pointer())
        record = special['first']
        while int(record) != 0:
            if int(record['index']) == self.index:
                found.append(RECORDS[int(record['kind'])])
            record = record['next']
        return found


def where(pc):
    """A return address as function, file and line."""
    block, function = gdb.block_for_pc(pc - 1), None
    while block is not None and not block.is_static:
        function = block.function or function  # the outermost: others are inlined into it
        block = block.superblock
    line = gdb.find_pc_line(pc - 1)
    file = f' at {line.symtab.filename}:{line.line}' if line.symtab else ''
    return (function.name if function is not None else f'{pc:#x}') + file


# --- goroutines ---

GIDLE, GRUNNABLE, GRUNNING, GWAITING, GDEAD = range(5)
STATES = ['idle', 'runnable', 'running', 'waiting', 'dead']
FRAME = re.compile(r'#(\d+) ')
END = re.compile(r'#\d+ +0x0+ in \?\? \(\)$')  # below a goroutine's first frame
OWN = re.compile(r'/(src/(api|arch|arch/\w+|base|chan|gc|gccgo|map|mem|net|os|os/linux|panic|rt|'
                 r'sched|scope|signal|sync|timer)/\w+\.[chS]|include/undergo/\w+\.h)$')
LOOK_MAX = 30      # frames looked through for one of the program
WHERE_MAX = 1000   # goroutines for which they are looked for
# What a switch saves, in words above the saved stack pointer, and how many bytes it is.
SAVED = {
    'i386:x86-64': (['r15', 'r14', 'r13', 'r12', 'rbx', 'rbp', 'rip'], 1, 64, 'rip', 'rsp'),
    'aarch64': ([f'x{i}' for i in range(19, 31)], 2, 176, 'pc', 'sp'),
}


def arch_name():
    name = gdb.selected_inferior().architecture().name()
    if name not in SAVED:
        raise gdb.GdbError(f'undergo: contexts of {name} are not known')
    return name


def word_at(addr):
    return int(gdb.Value(addr).cast(gdb.lookup_type('unsigned long').pointer()).dereference())


def function_at(pc):
    block, function = gdb.block_for_pc(pc) if pc != 0 else None, None
    while block is not None and not block.is_static:
        function = block.function or function  # the outermost: others are inlined into it
        block = block.superblock
    if function is not None:
        return function.print_name
    return gdb.execute(f'info symbol {pc}', to_string=True).split(' ')[0] if pc != 0 else '?'


class FrameId:
    """Where gdb shall think the claimed frame is: no other looks inner to address 1, whichever
    stack that is on."""

    def __init__(self, pc):
        self.sp = gdb.Value(1)
        self.pc = pc


class Parked(gdb.unwinder.Unwinder):
    """While sp is set: what a switch saved there has called what the selected thread is in."""

    def __init__(self):
        super().__init__('undergo')
        self.sp = None
        self.here = None

    def __call__(self, pending):
        if self.sp is None:
            return None
        names, skip, size, pc, sp = SAVED[arch_name()]
        here = pending.read_register(pc)
        if (int(here), int(pending.read_register(sp))) != self.here:
            return None
        info = pending.create_unwind_info(FrameId(here))
        kind = gdb.lookup_type('unsigned long')
        for i, name in enumerate(names):
            value = gdb.Value(word_at(self.sp + 8 * (skip + i))).cast(kind)
            info.add_saved_register(name, value)
            if name == 'x30':
                info.add_saved_register(pc, value)
        info.add_saved_register(sp, gdb.Value(self.sp + size).cast(kind))
        return info

    def __enter__(self):
        newest = gdb.newest_frame()
        _, _, _, pc, sp = SAVED[arch_name()]
        self.here = (int(newest.read_register(pc)), int(newest.read_register(sp)))
        return self

    def show(self, sp):
        """Selects the first frame of a goroutine that is parked at sp; its number."""
        self.sp = sp
        gdb.invalidate_cached_frames()
        frame, level = gdb.newest_frame(), 1
        while frame.type() == gdb.INLINE_FRAME:
            frame, level = frame.older(), level + 1
        frame = frame.older()
        if frame is None:
            raise gdb.GdbError('undergo: the goroutine has no frames')
        frame.select()
        return level

    def __exit__(self, *unused):
        self.sp = None
        gdb.invalidate_cached_frames()
        gdb.newest_frame().select()


parked = Parked()
gdb.unwinder.register_unwinder(None, parked, replace=True)


class Goroutine:
    """A record, as it is now."""

    def __init__(self, g):
        self.g = g
        self.id = int(g['id'])
        self.status = int(plain(g['status']))
        self.sp = int(g['sp'])
        self.foreign = bool(g['thread'])

    def name(self):
        name = text(self.g['name'])
        return f' "{name}"' if name else ''

    def state(self):
        if self.status == GWAITING:
            texts = gdb.parse_and_eval('sched_wait_text::text')
            return texts[int(plain(self.g['wait']))].string() or 'waiting'
        return STATES[self.status]

    def notes(self):
        notes = ', thread' if self.foreign else ''
        return notes + (', locked to thread' if int(self.g['locked']) != 0 else '')

    def began(self):
        fn = self.g['scope_fn'] if int(self.g['scope']) != 0 else self.g['fn']
        return int(fn)

    def thread(self):
        """The thread it runs on, or that it is; None."""
        m = plain(self.g['m'])
        if self.status != GRUNNING and not self.foreign or int(m) == 0:
            return None
        if int(m['curg']) != int(self.g.address):
            return None
        tid = int(plain(m['tid']))
        for thread in gdb.selected_inferior().threads():
            if tid in (thread.ptid[1], thread.ptid[2]):
                return thread
        return None


def goroutines():
    """All that are alive, by number."""
    sched = variable('sched', 'sched/start.c')
    found = []
    g = plain(sched['all_g'])
    while int(g) != 0:
        one = Goroutine(g.dereference())
        if one.status not in (GIDLE, GDEAD):
            found.append(one)
        g = g['all_next']
    return sorted(found, key=lambda one: one.id)


def is_own(frame):
    """Whether the frame is the runtime's, by the file it was compiled from."""
    symtab = frame.find_sal().symtab
    return symtab is not None and OWN.search(symtab.fullname()) is not None


def stands_at(frame):
    """The first frame of the program from this one outwards."""
    for _ in range(LOOK_MAX):
        if frame is None or not is_own(frame):
            break
        frame = frame.older()
    if frame is None:
        return '?'
    sal = frame.find_sal()
    file = f' at {sal.symtab.filename}:{sal.line}' if sal.symtab is not None else ''
    return (frame.name() or f'{frame.pc():#x}') + file


def on_thread(thread, fn):
    """fn() with that thread selected."""
    before, frame = gdb.selected_thread(), gdb.selected_frame()
    if before == thread:
        return fn()
    try:
        thread.switch()
        return fn()
    finally:
        before.switch()
        frame.select()


class InfoGoroutines(gdb.Command):
    """All goroutines: number, name, state, where each stands, where it began."""

    def __init__(self):
        super().__init__('info goroutines', gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        gs = goroutines()
        selected = gdb.selected_thread()
        if selected is None:
            raise gdb.GdbError('undergo: no process and no core')
        with parked:
            for one in gs:
                thread = one.thread()
                mark = '*' if thread is not None and thread == selected else ' '
                where = self.where(one, thread, len(gs) <= WHERE_MAX)
                print(f'{mark} {one.id:<4}{one.name()} {one.state()}{one.notes()}{where}, '
                      f'began in {function_at(one.began())}')

    @staticmethod
    def where(one, thread, wanted):
        try:
            if thread is not None:
                parked.sp = None
                gdb.invalidate_cached_frames()
                return f' (thread {thread.num}) in ' + on_thread(
                    thread, lambda: stands_at(gdb.newest_frame()))
            if wanted and one.sp != 0 and not one.foreign and one.status != GRUNNING:
                parked.show(one.sp)
                return ' in ' + stands_at(gdb.selected_frame())
        except gdb.error as err:
            return f' in ? ({err})'
        return ''


class GoroutineCommand(gdb.Command):
    """A command as if a goroutine ran here: goroutine N COMMAND, goroutine all COMMAND."""

    def __init__(self):
        super().__init__('goroutine', gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split(None, 1)
        if not words or not (words[0].isdigit() or words[0] == 'all'):
            raise gdb.GdbError('goroutine N COMMAND, or goroutine all COMMAND')
        command = words[1] if len(words) == 2 else 'bt'
        every = words[0] == 'all'
        wanted = [one for one in goroutines() if every or one.id == int(words[0])]
        if not wanted:
            raise gdb.GdbError(f'undergo: there is no goroutine {words[0]}')
        for one in wanted:
            if every:
                print(f'\ngoroutine {one.id}{one.name()} [{one.state()}{one.notes()}]:')
            try:
                self.run(one, command, from_tty)
            except gdb.error as err:
                if not every:
                    raise
                print(err)

    @staticmethod
    def run(one, command, from_tty):
        thread = one.thread()
        if thread is not None:
            on_thread(thread, lambda: gdb.execute(command, from_tty))
        elif one.foreign or one.status == GRUNNING:
            raise gdb.GdbError(f'undergo: the thread of goroutine {one.id} is not known')
        elif one.sp == 0:
            print(f'goroutine {one.id} has not run yet; it will begin in '
                  f'{function_at(one.began())}')
        else:
            with parked:
                level = parked.show(one.sp)
                if command.split()[0] not in ('bt', 'backtrace', 'where'):
                    gdb.execute(command, from_tty)
                    return
                shown = False
                for line in gdb.execute(command, False, True).splitlines():
                    number = FRAME.match(line)
                    shown = shown if number is None else int(number.group(1)) >= level
                    if shown and END.match(line) is None:
                        print(line)


# --- commands ---

class Undergo(gdb.Command):
    """What undergo knows: undergo object ADDRESS."""

    def __init__(self):
        super().__init__('undergo', gdb.COMMAND_DATA, prefix=True)


class UndergoObject(gdb.Command):
    """The heap object that an address points to or into: undergo object ADDRESS."""

    def __init__(self):
        super().__init__('undergo object', gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError('undergo object ADDRESS')
        addr = int(gdb.parse_and_eval(argument).cast(gdb.lookup_type('unsigned long')))
        found = Object(addr)
        print(f'{addr:#x}: byte {addr - found.base} of an object')
        print(f'  base   {found.base:#x}')
        print(f'  size   {found.size}')
        print(f'  kind   {KINDS[found.kind]}')
        print(f'  type   {found.type()}')
        print(f'  state  {found.state()}')
        for record in found.records():
            print(f'  has a  {record}')
        site = found.site()
        for i in range(int(site['n_pcs']) if site is not None else 0):
            print(('  made   ' if i == 0 else '         ') + where(int(site['pcs'][i])))


Undergo()
UndergoObject()
InfoGoroutines()
GoroutineCommand()

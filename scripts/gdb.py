# SPDX-License-Identifier: BSD-3-Clause
"""What gdb can be told about the heap of undergo. Load it with `source .../gdb.py`.

    undergo object ADDRESS    the object that the address points to or into: where it begins, its
                              size, kind and type, whether it is allocated and was marked by the
                              last collection, and with GODEBUG=allocsites=n where it was made

Everything is read from memory, so it works with a core file and while the process is stopped
anywhere. It needs the debug information of the library. Known to it: src/mem/heap.h (Heap,
PageInfo, Mspan), the static variables of span.c, alloc.c, procs.c, site.c and special.c.
"""

import gdb

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
        caches.append(('the threads without a P', variable('shared_cache', 'gc/alloc.c')))
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

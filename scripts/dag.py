# SPDX-License-Identifier: BSD-3-Clause
"""Reads the .dag pages of docs/: who comes before whom.

A line is `a, b < c, d < e` (each of a and b before each of c and d, and so on), `a !< b` (no way
from a to b) or empty; `#` starts a comment, `;` ends a statement, NONE before something only names
it, and `*` before something stands for all other names.
"""

import re


class Dag:
    def __init__(self, path):
        self.path = path
        self.names = []
        self.before = {}  # name -> set of names that stand directly before it
        self.faults = []
        never, everything = [], []
        for number, line in enumerate(open(path, encoding='utf-8'), 1):
            for statement in line.split('#')[0].split(';'):
                if statement.strip():
                    self._statement(statement, number, never, everything)
        for number, after in everything:
            self._edge([name for name in self.names if name not in after], after)
        self._find_cycle()
        for number, a, b in never:
            if a in self.all_before(b):
                self._fault(number, f'{a} !< {b}, and yet there is a way from {a} to {b}')

    def _fault(self, number, text):
        self.faults.append(f'{self.path}:{number}: {text}')

    def _name(self, name):
        if name not in self.before:
            self.names.append(name)
            self.before[name] = set()

    def _edge(self, froms, tos):
        for b in tos:
            self._name(b)
            self.before[b].update(froms)

    def _statement(self, statement, number, never, everything):
        parts = re.split(r'(!?<)', statement)
        groups = [[name.strip() for name in part.split(',')] for part in parts[::2]]
        for name in sum(groups, []):
            if not re.fullmatch(r'\w+|\*', name):
                self._fault(number, f'"{name}" is not a name')
                return
        if len(groups) < 2:
            self._fault(number, 'neither < nor !<')
        for froms, sign, tos in zip(groups, parts[1::2], groups[1:]):
            for name in froms + tos:
                if name not in ('NONE', '*'):
                    self._name(name)
            if sign == '!<':
                never += [(number, a, b) for a in froms for b in tos]
            elif froms == ['*']:
                everything.append((number, tos))
            else:
                self._edge([name for name in froms if name != 'NONE'], tos)

    def all_before(self, name):
        """Every name from which a way leads to `name`."""
        found, todo = set(), list(self.before.get(name, ()))
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += self.before.get(one, ())
        return found

    def _find_cycle(self):
        for name in self.names:
            if name in self.all_before(name):
                self.faults.append(f'{self.path}: {name} stands before itself')

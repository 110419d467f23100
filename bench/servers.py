# SPDX-License-Identifier: BSD-3-Clause
"""What bench/http and bench/kv share: servers side by side, and what a request costs them."""

import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICK_NS = 1e9 / os.sysconf('SC_CLK_TCK')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server:
    """A process that serves at 127.0.0.1:port; found in its first line of output, unless given."""

    def __init__(self, name, command, cpus, port=None, env=None):
        self.name = name
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **(env or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        self.port = port or int(re.search(r':(\d+)$', self.process.stdout.readline()).group(1))
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(('127.0.0.1', self.port)) == 0:
                    return
            time.sleep(0.01)  # nothing tells when it listens
        raise RuntimeError(f'{name} does not listen')

    def cpu_ns(self):
        """CPU time of the process and its children, so far."""
        total = 0
        for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
            try:
                pid, rest = stat.read_text().split(' (', 1)
            except OSError:
                continue
            field = rest.rsplit(') ', 1)[1].split()
            if int(pid) == self.process.pid or int(field[1]) == self.process.pid:
                total += int(field[11]) + int(field[12])
        return total * TICK_NS

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def there(tool):
    return shutil.which(tool) is not None


def cpu_sets(cores):
    """CPUs of the servers, and those of the load: others as far as there are any."""
    every = sorted(os.sched_getaffinity(0))
    mine = set(every[:cores])
    return mine, set(every[cores:]) or mine


def compare(title, servers, measure, rounds):
    """Lets servers take turns; measure(server) gives requests and requests a second. One line each,
    with the CPU time that a request costs, and ratios to the first one, which is ours: the medians
    of those of each round."""
    samples = {s.name: [] for s in servers}
    for i in range(rounds):
        for s in servers[i % len(servers):] + servers[:i % len(servers)]:
            before = s.cpu_ns()
            requests, rate = measure(s)
            samples[s.name].append((rate, (s.cpu_ns() - before) / requests))
    print(title)
    ours = samples[servers[0].name]
    for s in servers:
        mine = samples[s.name]
        rate, cost = (statistics.median(x[i] for x in mine) for i in (0, 1))
        faster = statistics.median(a[0] / b[0] for a, b in zip(ours, mine))
        cheaper = statistics.median(b[1] / a[1] for a, b in zip(ours, mine))
        print(f'  {s.name:16} {rate:10.0f} /s {cost:8.0f} ns CPU     ours / it: '
              f'{faster:.2f} by rate, {cheaper:.2f} by CPU', flush=True)

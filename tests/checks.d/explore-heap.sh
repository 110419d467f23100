#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The same as explore.sh, over the protocols of the heap.
set -uo pipefail

exec scripts/run-explore -g explore_heap_drivers 10000000

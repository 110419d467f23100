#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The same as explore.sh, over the protocols of the heap, whose schedules are longer: 150,000
# a driver here, ten million in `make stress`.
set -uo pipefail

exec scripts/run-explore -g explore_heap_drivers 150000

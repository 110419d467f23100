#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The schedule explorer over the lock-free parts, three million schedules a driver, and its mutants;
# ten million in `make stress`.
set -uo pipefail

exec scripts/run-explore -g explore_drivers 3000000

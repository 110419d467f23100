#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The schedule explorer over the lock-free parts, ten million schedules a driver, and its mutants.
set -uo pipefail

exec scripts/run-explore -g explore_drivers 10000000

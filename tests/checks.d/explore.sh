#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The schedule explorer over the lock-free parts, 200,000 schedules a driver, and its
# mutants; ten million in `make stress`. What is wrong shows within three thousand: README.
set -uo pipefail

exec scripts/run-explore -g explore_drivers 200000

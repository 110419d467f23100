#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A hundred inputs of each fuzz target; `make stress` goes on for longer, with other seeds.
set -uo pipefail

exec scripts/run-fuzz

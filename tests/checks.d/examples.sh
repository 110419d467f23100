#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The servers among the examples, built with asserts: each is started, talked to, and stopped.
set -euo pipefail

exec tests/examples/run --build "$UNDERGO_BUILD"

#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The models of the protocols hold, and fail when they are broken: scripts/run-models.
set -uo pipefail

exec scripts/run-models

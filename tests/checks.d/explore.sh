#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The schedule explorer over the lock-free parts: scripts/run-explore says how much is explored.
set -uo pipefail

if ! [ -x scripts/run-explore ]; then
	echo "skip: there is no scripts/run-explore"
	exit 77
fi
exec scripts/run-explore

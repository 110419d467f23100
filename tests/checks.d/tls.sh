#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# libundergo-tls: its tests, with the debug build. The list is tests/tls/list.def.
set -euo pipefail

if [ ! -x "$UNDERGO_BUILD/tests/tls/suite" ]; then
	echo "OpenSSL is missing: there is no libundergo-tls"
	exit 77
fi
exec "$UNDERGO_BUILD/tests/tls/suite"

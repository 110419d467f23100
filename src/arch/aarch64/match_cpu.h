// SPDX-License-Identifier: BSD-3-Clause
// Eight bytes at once: which of them are equal to one. Plain arithmetic on a word: for eight bytes
// no worse than NEON, whose results take long to come back.
#ifndef UNDERGO_ARCH_AARCH64_MATCH_CPU_H
#define UNDERGO_ARCH_AARCH64_MATCH_CPU_H

#include "arch/match_word.h"

#endif

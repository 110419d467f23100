/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo - goroutines, channels, select, timers and sync for C, on all cores.
 *
 *   cc prog.c $(pkg-config --cflags --libs undergo)
 *
 * The headers are the manual; each is one subject and may be included alone.
 */
#ifndef UNDERGO_H
#define UNDERGO_H

#include "undergo/base.h"
#include "undergo/chan.h"
#include "undergo/context.h"
#include "undergo/errno.h"
#include "undergo/file.h"
#include "undergo/goroutine.h"
#include "undergo/heap.h"
#include "undergo/local.h"
#include "undergo/map.h"
#include "undergo/net.h"
#include "undergo/panic.h"
#include "undergo/runtime.h"
#include "undergo/scope.h"
#include "undergo/signal.h"
#include "undergo/sync.h"
#include "undergo/timer.h"

#endif

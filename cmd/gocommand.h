// SPDX-License-Identifier: BSD-3-Clause
// `undergo go` is gccgo's go command, or what GOTOOL names, whose programs are linked with this
// library; so is undergo when it is called `go`, by a link of that name. All is as the go command
// has it then, GOFLAGS too, and the go command takes this one's place. But CGO_CFLAGS, unless the
// environment has it, names our headers.
#ifndef UNDERGO_CMD_GOCOMMAND_H
#define UNDERGO_CMD_GOCOMMAND_H

__attribute__((noreturn)) void gocommand(int argc, char **argv);

#endif

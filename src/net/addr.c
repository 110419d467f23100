// SPDX-License-Identifier: BSD-3-Clause
// Reading and writing addresses. What is written in numbers is read here; names take a lookup,
// which libc does, blocking a thread that gets its processor taken away meanwhile.
//
// A lookup runs on a goroutine of its own, with a stack that libc's resolver has room on, so its
// caller's deadline and cancellation hold: then it goes on alone, and the last of the two frees it.
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "chan/chan.h"
#include "net/fd.h"
#include "sched/sched.h"
#include "undergo/base.h"

enum { LOOKUP_STACK = 1 << 19, LOOKUPS_AT_ONCE = 64, PORT_MAX = 65535 };

// --- networks -----------------------------------------------------------------------------------

int
addr_network(const char *name, Network *n)
{
	static const struct {
		const char *name;
		Network n;
	} known[] = {
		{"tcp", {AF_UNSPEC, SOCK_STREAM}},
		{"tcp4", {AF_INET, SOCK_STREAM}},
		{"tcp6", {AF_INET6, SOCK_STREAM}},
		{"udp", {AF_UNSPEC, SOCK_DGRAM}},
		{"udp4", {AF_INET, SOCK_DGRAM}},
		{"udp6", {AF_INET6, SOCK_DGRAM}},
		{"unix", {AF_UNIX, SOCK_STREAM}},
		{"unixgram", {AF_UNIX, SOCK_DGRAM}},
		{"unixpacket", {AF_UNIX, SOCK_SEQPACKET}},
	};
	for (size_t i = 0; i < countof(known); i++)
		if (strcmp(name, known[i].name) == 0) {
			*n = known[i].n;
			return 0;
		}
	return GO_EADDRESS;
}

// --- numbers ------------------------------------------------------------------------------------

static int
unix_address(const char *path, Address *out)
{
	struct sockaddr_un *u = (struct sockaddr_un *)&out->at;
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof(u->sun_path))
		return GO_EADDRESS;
	*out = (Address){0};
	u->sun_family = AF_UNIX;
	memcpy(u->sun_path, path, n);
	bool abstract = path[0] == '@';
	if (abstract)
		u->sun_path[0] = '\0';
	out->bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
	return 1;
}

typedef struct Parts {
	char host[HOST_BYTES];
	char service[SERVICE_BYTES];
} Parts;

// "host:service", with brackets around a host that has colons.
static int
split(const char *address, Parts *p)
{
	const char *colon = strrchr(address, ':');
	if (colon == NULL)
		return GO_EADDRESS;
	const char *host = address, *end = colon;
	if (*host == '[') {
		if (colon == address || colon[-1] != ']')
			return GO_EADDRESS;
		host++;
		end--;
	} else if (memchr(host, ':', (size_t)(colon - host)) != NULL) {
		return GO_EADDRESS;
	}
	size_t host_bytes = (size_t)(end - host), service_bytes = strlen(colon + 1);
	if (host_bytes >= HOST_BYTES || service_bytes >= SERVICE_BYTES)
		return GO_EADDRESS;
	memcpy(p->host, host, host_bytes);
	p->host[host_bytes] = '\0';
	memcpy(p->service, colon + 1, service_bytes + 1);
	return 0;
}

// NO_NUMBER: it is a name; GO_EADDRESS: there is no such port.
enum { NO_NUMBER = INT32_MIN };

static int
port_number(const char *s)
{
	if (strspn(s, "0123456789") != strlen(s))
		return NO_NUMBER;
	int port = 0;
	for (; *s != '\0'; s++)
		if ((port = 10 * port + (*s - '0')) > PORT_MAX)
			return GO_EADDRESS;
	return port;
}

static int
ip4(Address *out, const struct in_addr *ip, int port)
{
	struct sockaddr_in *a = (struct sockaddr_in *)&out->at;
	*out = (Address){.bytes = sizeof(*a)};
	a->sin_family = AF_INET;
	a->sin_addr = *ip;
	a->sin_port = htons((uint16_t)port);
	return 1;
}

static int
ip6(Address *out, const struct in6_addr *ip, int port)
{
	struct sockaddr_in6 *a = (struct sockaddr_in6 *)&out->at;
	*out = (Address){.bytes = sizeof(*a)};
	a->sin6_family = AF_INET6;
	a->sin6_addr = *ip;
	a->sin6_port = htons((uint16_t)port);
	return 1;
}

// To listen: all of this machine's addresses, of both kinds if it has them. To dial: this machine.
static int
no_host(const Network *n, int port, Purpose why, Address *out)
{
	const struct in_addr any4 = {htonl(INADDR_ANY)}, here4 = {htonl(INADDR_LOOPBACK)};
	int found = 0;
	if (why == TO_DIAL)
		return n->family == AF_INET6 ? ip6(out, &in6addr_loopback, port)
					     : ip4(out, &here4, port);
	if (n->family != AF_INET)
		found += ip6(&out[found], &in6addr_any, port);
	if (n->family != AF_INET6)
		found += ip4(&out[found], &any4, port);
	return found;
}

// 0: it is none, 1, or a code: none of this network's.
static int
literal(const Network *n, const char *host, int port, Address *out)
{
	struct in_addr a4;
	struct in6_addr a6;
	if (inet_pton(AF_INET, host, &a4) == 1)
		return n->family != AF_INET6 ? ip4(out, &a4, port) : GO_EADDRESS;
	if (inet_pton(AF_INET6, host, &a6) == 1)
		return n->family != AF_INET ? ip6(out, &a6, port) : GO_EADDRESS;
	return 0;
}

// --- names --------------------------------------------------------------------------------------

typedef struct Lookup {
	ATOMIC_U32 refs; // the caller's and the goroutine's
	Network n;       // set before publication
	Purpose why;     // set before publication
	Parts p;         // set before publication
	Hchan *done;     // set before publication; carries how many were found, or a code
	Address found[ADDRESSES_MAX]; // until done: the goroutine's
} Lookup;

static go_sem lookups = {{LOOKUPS_AT_ONCE}};

// Inside the runtime.
static void
lookup_let_go(Lookup *l)
{
	if (sub_ar(&l->refs, 1) != 1) // order: release, and claim of the last
		return;
	chan_free(l->done);
	os_free(l);
}

static int
lookup_error(int err)
{
	switch (err) {
	case EAI_MEMORY:
		return GO_ENOMEM;
	case EAI_AGAIN:
		return GO_ERRNO(EAGAIN);
	case EAI_SYSTEM:
		return fd_error(-*os_errno_addr());
	case EAI_SERVICE:
	case EAI_FAMILY:
	case EAI_SOCKTYPE:
		return GO_EADDRESS;
	default:
		return GO_ENOHOST;
	}
}

// Outside of the runtime.
static int
look_up(Lookup *l)
{
	const struct addrinfo hints = {
		.ai_family = l->n.family,
		.ai_socktype = l->n.type,
		.ai_flags = l->why == TO_LISTEN ? AI_PASSIVE : AI_ADDRCONFIG,
	};
	struct addrinfo *all = NULL;
	const char *host = l->p.host[0] != '\0' ? l->p.host : NULL;
	int err = getaddrinfo(host, l->p.service, &hints, &all);
	if (err != 0)
		return lookup_error(err);
	int n = 0;
	for (struct addrinfo *a = all; a != NULL && n < ADDRESSES_MAX; a = a->ai_next) {
		memcpy(&l->found[n].at, a->ai_addr, a->ai_addrlen);
		l->found[n++].bytes = a->ai_addrlen;
	}
	freeaddrinfo(all);
	return n != 0 ? n : GO_ENOHOST;
}

static void
lookup_main(void *v)
{
	Lookup *l = v;
	sched_enter();
	int result = gsem_acquire(&lookups, GO_NEVER);
	sched_block_begin();
	result = look_up(l);
	sched_enter();
	if (!gsem_release_fast(&lookups, 1))
		gsem_release_slow(&lookups, 1);
	(void)chan_send(l->done, &result, GO_NEVER); // it has room
	lookup_let_go(l);
	sched_leave();
}

// Inside the runtime.
static Lookup *
lookup_start(const Network *n, const Parts *p, Purpose why)
{
	Lookup *l = os_alloc(sizeof(*l));
	if (l == NULL)
		return NULL;
	init_plain(&l->refs, 2);
	l->n = *n;
	l->why = why;
	l->p = *p;
	l->done = chan_new(sizeof(int), 1);
	if (l->done != NULL && sched_spawn(lookup_main, l, LOOKUP_STACK, "lookup") != NULL)
		return l;
	chan_free(l->done);
	os_free(l);
	return NULL;
}

static int
find_name(const Network *n, const Parts *p, Purpose why, Address *out, int64_t deadline)
{
	int result = GO_ENOMEM;
	sched_enter();
	Lookup *l = lookup_start(n, p, why);
	if (l != NULL) {
		int err = chan_recv(l->done, &result, deadline);
		if (err != 0)
			result = err;
		if (result > 0)
			memcpy(out, l->found, (size_t)result * sizeof(*out));
		lookup_let_go(l);
	}
	sched_leave();
	return result;
}

int
addr_find(const Network *n, const char *address, Purpose why, Address *out, int64_t deadline)
{
	Parts p;
	if (n->family == AF_UNIX)
		return unix_address(address, out);
	int err = split(address, &p);
	if (err != 0)
		return err;
	int port = port_number(p.service);
	if (port == NO_NUMBER)
		return find_name(n, &p, why, out, deadline);
	if (port < 0)
		return port;
	if (p.host[0] == '\0')
		return no_host(n, port, why, out);
	int found = literal(n, p.host, port, out);
	return found != 0 ? found : find_name(n, &p, why, out, deadline);
}

// --- writing ------------------------------------------------------------------------------------

static int
unix_text(const struct sockaddr_un *u, socklen_t bytes, char *buf, size_t n)
{
	size_t head = offsetof(struct sockaddr_un, sun_path);
	int len = bytes > head ? (int)(bytes - head) : 0;
	if (len > 0 && u->sun_path[0] == '\0')
		return snprintf(buf, n, "@%.*s", len - 1, u->sun_path + 1);
	return snprintf(buf, n, "%.*s", len, len > 0 ? u->sun_path : "");
}

int
addr_text(const struct sockaddr *at, socklen_t bytes, char *buf, size_t n)
{
	char ip[INET6_ADDRSTRLEN];
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)(const void *)at;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)(const void *)at;
	switch (at->sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a4->sin_addr, ip, sizeof(ip));
		return snprintf(buf, n, "%s:%u", ip, ntohs(a4->sin_port));
	case AF_INET6:
		inet_ntop(AF_INET6, &a6->sin6_addr, ip, sizeof(ip));
		return snprintf(buf, n, "[%s]:%u", ip, ntohs(a6->sin6_port));
	case AF_UNIX:
		return unix_text((const struct sockaddr_un *)(const void *)at, bytes, buf, n);
	default:
		return snprintf(buf, n, "?");
	}
}

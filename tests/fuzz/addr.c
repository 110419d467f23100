// SPDX-License-Identifier: BSD-3-Clause
// Addresses as texts: whatever a program dials, listens at, or is told by the system.
//
// A text becomes no address, or some with which it can be said again, and then means the same. A
// name is anything that is no number; none exists here. Texts of addresses keep to their room,
// whatever the address, and say how long they would be.
#include <netdb.h>
#include <string.h>
#include <sys/un.h>

#include "fuzz.h"
#include "net/addr.h"
#include "sched/sched.h"
#include "undergo/base.h"

enum { TEXT_BYTES = 300, ROOM = 64 };

static const char *const networks[] = {"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix",
				       "unixgram", "unixpacket", "ip", "", "TCP"};

// Nobody is asked for names.
int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
	    struct addrinfo **all)
{
	must(host == NULL || strlen(host) < HOST_BYTES);
	must(strlen(service) < SERVICE_BYTES && hints != NULL && all != NULL);
	return EAI_NONAME;
}

void
fuzz_begin(void)
{
	must(sched_start() == 0);
}

// As a text that is long enough; then with room for n bytes.
static int
text_of(const Address *a, char text[TEXT_BYTES], size_t n)
{
	char room[ROOM + 1];
	int len = addr_text((const struct sockaddr *)&a->at, a->bytes, text, TEXT_BYTES);
	must(len >= 0 && len < TEXT_BYTES && strlen(text) == (size_t)len);
	memset(room, 0x7e, sizeof(room));
	must(addr_text((const struct sockaddr *)&a->at, a->bytes, room, n) == len);
	must(room[n] == 0x7e);
	if (n > 0)
		must(strlen(room) < n && strncmp(room, text, n - 1) == 0);
	return len;
}

static bool
same(const Address *a, const Address *b)
{
	return a->bytes == b->bytes && memcmp(&a->at, &b->at, a->bytes) == 0;
}

static void
say_again(const Network *n, const Address *a, Purpose why, size_t room)
{
	char text[TEXT_BYTES];
	Address again[ADDRESSES_MAX];
	must(a->bytes <= sizeof(a->at));
	text_of(a, text, room);
	must(addr_find(n, text, why, again, GO_NEVER) == 1);
	must(same(a, &again[0]));
}

// What the system may say.
static void
any_address(Input *in)
{
	static const sa_family_t families[] = {AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC};
	char text[TEXT_BYTES];
	Address a = {.at.ss_family = families[next_byte(in) % 4]};
	a.bytes = a.at.ss_family == AF_UNIX
			  ? (socklen_t)(sizeof(sa_family_t) + next_byte(in) % 109)
			  : (socklen_t)sizeof(a.at);
	for (size_t i = sizeof(sa_family_t); i < a.bytes; i++)
		((char *)&a.at)[i] = (char)next_byte(in);
	text_of(&a, text, next_byte(in) % ROOM);
}

// Mostly of what addresses are made of.
static void
make_text(Input *in, char text[TEXT_BYTES])
{
	static const char often[] = "0123456789.:[]abcdef%@/-";
	size_t n = next_byte(in);
	for (size_t i = 0; i < n; i++) {
		uint8_t b = next_byte(in);
		text[i] = (char)(b < 200 ? often[b % (sizeof(often) - 1)] : b);
	}
	text[n] = '\0';
}

void
fuzz_one(Input *in)
{
	char text[TEXT_BYTES];
	Network n;
	Address all[ADDRESSES_MAX];
	size_t which = next_byte(in) % countof(networks), room = next_byte(in) % ROOM;
	Purpose why = next_byte(in) % 2 != 0 ? TO_LISTEN : TO_DIAL;
	if (next_byte(in) % 4 == 0) {
		any_address(in);
		return;
	}
	make_text(in, text);
	if (addr_network(networks[which], &n) != 0) {
		must(which >= 9);
		return;
	}
	int found = addr_find(&n, text, why, all, GO_NEVER);
	must(found == GO_EADDRESS || found == GO_ENOHOST || (found > 0 && found <= 2));
	for (int i = 0; i < found; i++)
		say_again(&n, &all[i], why, room);
}

// SPDX-License-Identifier: BSD-3-Clause
// The web server, what its files share: http.c accepts and stops, http_conn.c reads requests,
// http_answer.c makes answers, and http_tls.c or http_plain.c are how bytes go.
#ifndef UNDERGO_EXAMPLES_HTTP_H
#define UNDERGO_EXAMPLES_HTTP_H

#include <stdatomic.h>
#include <undergo.h>

#include <http_parser.h>

// --- streams: a socket, with TLS over it or not --------------------------------------------------

typedef struct Stream {
	go_fd fd;
	void *tls; // NULL: there is none
} Stream;

bool stream_can_tls(void);
// Reads the certificate and key of the server. 0, or it has said why not.
int stream_tls_open(const char *file);
int stream_begin(Stream *s, go_fd fd); // shakes hands; on an error fd is closed
int64_t stream_read(Stream *s, void *buf, size_t n);
bool stream_write(Stream *s, const void *buf, size_t n);
bool stream_send_file(Stream *s, int file, int64_t n);
void stream_end_write(Stream *s);
void stream_close(Stream *s);

// --- the server ---------------------------------------------------------------------------------

enum {
	READ_BYTES = 16 << 10,
	URL_MAX = 4 << 10,
	HEADERS_MAX = 16 << 10,
	BODY_MAX = 1 << 20,
	IDLE_S = 60,    // for the next request
	REQUEST_S = 15, // from its first byte to its last
	ANSWER_S = 30,  // for a client to take an answer
	STOP_S = 10,    // for requests that are under way when the server stops
};

// Once a second somebody looks at the clock, for all.
typedef struct Second {
	int64_t now; // go_now
	char date[32];
} Second;

const Second *this_second(void);

extern int root; // the folder of /files/, or -1
extern atomic_bool stopping;

typedef struct Conn {
	Stream stream;
	http_parser parser;
	char *out; // answers that have not gone out
	size_t out_n, out_room;
	int64_t read_deadline, write_deadline;
	bool begun;       // a request has begun and is not complete
	bool timed;       // read_deadline is its own
	bool broken;      // a write has failed
	bool last;        // the connection ends after what is in out
	bool head;        // of the request at hand: it is HEAD
	bool has_host;
	bool expects;     // it waits for "100 Continue"
	int refusal;      // 0, or the status that it gets
	size_t url_n, body_n;
	char url[URL_MAX];
	char field[16];   // the beginning of a header's name
	size_t field_n;
	bool in_value;
	atomic_bool idle; // it waits for a request
	struct Conn *next, *prev;
} Conn;

void conn_serve(Conn *c);

void answer_request(Conn *c);
void answer_status(Conn *c, int status); // a page that says no more than that
void answer_continue(Conn *c);
bool answer_flush(Conn *c);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/tls.h - TLS over the connections of net.h, by OpenSSL.
 *
 *   cc prog.c $(pkg-config --cflags --libs undergo-tls)
 *
 *   go_tls_config *config = go_tls_config_new(NULL, why, sizeof why);
 *   go_tls *t;
 *   int err = go_tls_client(&t, config, go_dial("tcp", "example.org:443", soon), "example.org");
 *
 * A library of its own, beside undergo, that undergo.h does not include.
 *
 * A connection that verifies is the default: a client takes a certificate only if somebody it
 * trusts has signed it, if it is valid now, and if it is for the name, or the IP address, that the
 * client asked for. Nothing older than TLS 1.2 is spoken, and nothing renegotiated.
 *
 * A connection is used as a go_fd is: one goroutine may read while another writes, readers take
 * turns, and so do writers. A call waits until the deadline of the go_fd below (go_set_deadline of
 * go_tls_fd). Waits let other goroutines run. What a call needs of its stack OpenSSL decides:
 * the default of 256 KiB is ample, 64 KiB have been enough.
 *
 * What the tag Errors of the calls stands for, beside those named:
 *   GO_TLS_EVERIFY    a certificate was refused; go_tls_why says which way
 *   GO_TLS_EPROTOCOL  the other side refused us, or does not speak TLS as we do; see go_tls_why
 *   GO_EEOF           the stream ended without the other side having said so: it may be cut short
 *   GO_ECLOSED        go_tls_close, before or during the call
 *   and what go_read and go_write say: GO_ETIMEDOUT, GO_EAGAIN, GO_ECANCELED, GO_ERRNO(e)
 * After the first two nothing more is read or written.
 */
#ifndef UNDERGO_TLS_H
#define UNDERGO_TLS_H

#include "base.h"
#include "net.h"

/* Error codes of this header, beside those of base.h. */
enum {
	GO_TLS_EVERIFY = -101,  /* a certificate was refused */
	GO_TLS_EPROTOCOL = -102 /* the two sides found no way to talk */
};

enum { GO_TLS_1_2 = 12, GO_TLS_1_3 = 13 };

/* What a server wants to know of its clients. */
enum {
	GO_TLS_ANYBODY = 0, /* nothing */
	GO_TLS_ASK = 1,     /* a certificate that verifies, or none */
	GO_TLS_REQUIRE = 2  /* a certificate that verifies */
};

/* All zero: a client that trusts whom the system trusts. Names of files are those of PEM files. */
typedef struct go_tls_options {
	const char *ca_file;   /* whom to trust; both NULL: the system's store, for clients */
	const char *ca_dir;    /* the same, a folder prepared by `openssl rehash` */
	const char *cert_file; /* who we are: our certificate, then those up to the root */
	const char *key_file;  /* its key, without a pass phrase; NULL: it is in cert_file */
	const char *alpn;      /* protocols to agree on, the best first: "h2,http/1.1" */
	int min_version;       /* GO_TLS_1_2, which is also 0, or GO_TLS_1_3 */
	int clients;           /* of a server: GO_TLS_ANYBODY, GO_TLS_ASK, GO_TLS_REQUIRE */
	bool insecure;         /* of a client: take any certificate, from anybody */
} go_tls_options;

typedef struct go_tls_config go_tls_config; /* what connections have in common */
typedef struct go_tls go_tls;               /* a connection */

/* --- configuration --------------------------------------------------------------------------- */

/* go_tls_config_new - read certificates and keys once, for any number of connections.
 *
 * options may be NULL, and may be reused on return. NULL when it fails; then the reason is
 * written to why, at most n bytes with the 0 at the end.
 * Blocks:    the thread, while files are read.
 * Call from: a goroutine or a thread.
 */
GO_API go_tls_config *go_tls_config_new(const go_tls_options *options, char *why, size_t n);

/* go_tls_config_free - done with it. Connections that were made with it may go on; NULL is fine.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_tls_config_free(go_tls_config *config);

/* --- connections ----------------------------------------------------------------------------- */

/* go_tls_client, go_tls_server - TLS over a connected stream.
 *
 * *out is the connection; nothing has been sent yet. server_name is a host name or an IP address
 * without a port, and may be NULL only with a config that is insecure.
 * Owns:      fd is the connection's from then on, and closed by go_tls_close. On an error it stays
 *            the caller's.
 * Errors:    GO_EINVAL: no name; a server without a certificate; fd is none (it may be the result
 *            of a go_dial that failed; then that error is returned). GO_ENOMEM.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_tls_client(go_tls **out, go_tls_config *config, go_fd fd, const char *server_name);
GO_API int go_tls_server(go_tls **out, go_tls_config *config, go_fd fd);

/* go_tls_handshake - agree on keys, and on who is who.
 *
 * Reading and writing do it when it has not been done. May be called again.
 * A client does not learn here whether the server takes its certificate in TLS 1.3: its first
 * go_tls_read tells.
 * Errors:    see the top. After GO_ETIMEDOUT or GO_ECANCELED while reading it may be called again.
 * Blocks:    this goroutine, until the deadlines of fd, for reading and for writing.
 * Call from: a goroutine or a thread, any number at once.
 */
GO_API int go_tls_handshake(go_tls *t);

/* go_tls_read - read what there is, at most n bytes; 0 when the other side has ended its stream.
 *
 * Errors:    see the top. After GO_ETIMEDOUT or GO_ECANCELED nothing is lost.
 * Blocks:    this goroutine, until the deadline for reading.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_tls_read(go_tls *t, void *buf, size_t n);

/* go_tls_read_full - read n bytes.
 *
 * Returns n, or fewer when the stream has ended.
 * Errors:    as go_tls_read; what was read before an error is lost to the caller.
 * Blocks:    this goroutine, until the deadline for reading.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_tls_read_full(go_tls *t, void *buf, size_t n);

/* go_tls_write - write all n bytes.
 *
 * Returns n. When it fails after some bytes were sent it returns how many; the next call tells why.
 * A write that has failed, by its deadline too, is the last one: half a record may have gone out.
 * Errors:    see the top; GO_ERRNO(EPIPE) after go_tls_close_write.
 * Blocks:    this goroutine, until the deadline for writing. While a ticket or a change of keys has
 *            come by half: until that for reading; then nothing was written, nor is lost.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_tls_write(go_tls *t, const void *buf, size_t n);

/* go_tls_close_write - end our stream. The other side reads to its end and then gets 0.
 *
 * Reading goes on.
 * Errors:    see the top.
 * Blocks:    this goroutine, behind those who write, until the deadline for writing.
 * Call from: a goroutine or a thread.
 */
GO_API int go_tls_close_write(go_tls *t);

/* go_tls_close - end our stream, close the descriptor, and wake all that wait for it.
 *
 * The end is said to the other side, unless a write goes on or has failed; for that it waits five
 * seconds at most. t lives until go_tls_free.
 * Errors:    GO_ECLOSED, somebody else has closed it.
 * Blocks:    this goroutine.
 * Call from: a goroutine or a thread.
 */
GO_API int go_tls_close(go_tls *t);

/* go_tls_free - free a connection that nobody uses any more; it is closed first. NULL is fine.
 *
 * Blocks:    this goroutine, as go_tls_close.
 * Call from: a goroutine or a thread; no other one is in a call on t.
 */
GO_API void go_tls_free(go_tls *t);

/* --- what became of it ----------------------------------------------------------------------- */

/* go_tls_fd - the descriptor below: for deadlines and addresses, not for reading or writing.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_fd go_tls_fd(const go_tls *t);

/* go_tls_strerror - the text of an error code of this header, or of base.h.
 *
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API const char *go_tls_strerror(int code);

/* go_tls_why - more about the first GO_TLS_EVERIFY or GO_TLS_EPROTOCOL of this connection.
 *
 * For instance "certificate refused: hostname mismatch". "" when there was none.
 * Owns:      the text belongs to the connection, and does not change any more.
 * Blocks:    this goroutine, for a moment.
 * Call from: a goroutine or a thread.
 */
GO_API const char *go_tls_why(go_tls *t);

/* go_tls_version, go_tls_cipher - "TLSv1.3" and the like; how it is encrypted.
 *
 * "" before the handshake is done.
 * Owns:      constant texts.
 * Blocks:    this goroutine, for a moment.
 * Call from: a goroutine or a thread.
 */
GO_API const char *go_tls_version(go_tls *t);
GO_API const char *go_tls_cipher(go_tls *t);

/* go_tls_alpn, go_tls_peer - the protocol agreed on; whom the other side's certificate is for, for
 * instance "CN=client".
 *
 * Writes at most n bytes with the 0 at the end; returns how long the text is without it. It is
 * empty before the handshake is done, and when there is none.
 * Blocks:    this goroutine, for a moment.
 * Call from: a goroutine or a thread.
 */
GO_API int go_tls_alpn(go_tls *t, char *buf, size_t n);
GO_API int go_tls_peer(go_tls *t, char *buf, size_t n);

#endif

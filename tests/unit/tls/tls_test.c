/*
 * The server's side of TLS against mbedTLS' client over a socket pair: who gets in, who does not and what is said about
 * it, and that no byte is lost however small the socket is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/tls/tls.h"
#include "daemon/tls/tls_failure.h"
#include "daemon/tls/tls_pool.h"
#include "daemon/tls/tls_x25519.h"

#define PEM_BYTES 4096

static struct event_base *base;
static struct tls_server *server;

static int
randomly(void *arg, unsigned char *out, size_t n)
{
	(void)arg;
	randombytes_buf(out, n);
	return 0;
}

/* ── a small PKI ── */

struct identity {
	mbedtls_pk_context key;
	mbedtls_x509_crt crt;
	char pem[PEM_BYTES], key_pem[PEM_BYTES];
};

static struct identity ca, foreign, ours, client, enemy, late, server_kind;

static void
make_key(struct identity *i)
{
	mbedtls_pk_init(&i->key);
	mbedtls_x509_crt_init(&i->crt);
	assert_int_equal(mbedtls_pk_setup(&i->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), 0);
	assert_int_equal(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(i->key), randomly, NULL), 0);
	assert_int_equal(mbedtls_pk_write_key_pem(&i->key, (unsigned char *)i->key_pem, PEM_BYTES), 0);
}

static void
make(struct identity *i, struct identity *issuer, const char *name, const char *until, const char *usage)
{
	static unsigned char serial[1] = {1};
	mbedtls_x509write_cert w;
	mbedtls_asn1_sequence use = {0};

	make_key(i);
	mbedtls_x509write_crt_init(&w);
	mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(&w, &i->key);
	mbedtls_x509write_crt_set_issuer_key(&w, &issuer->key);
	serial[0]++;
	assert_int_equal(mbedtls_x509write_crt_set_serial_raw(&w, serial, sizeof(serial)), 0);
	assert_int_equal(mbedtls_x509write_crt_set_subject_name(&w, name), 0);
	assert_int_equal(mbedtls_x509write_crt_set_issuer_name(&w, issuer == &foreign ? "CN=foreign" : "CN=lab"), 0);
	assert_int_equal(mbedtls_x509write_crt_set_validity(&w, "20200101000000", until), 0);
	assert_int_equal(mbedtls_x509write_crt_set_basic_constraints(&w, i == issuer, -1), 0);
	if (usage) {
		use.buf.tag = MBEDTLS_ASN1_OID;
		use.buf.p = (unsigned char *)(uintptr_t)usage;
		use.buf.len = 8;
		assert_int_equal(mbedtls_x509write_crt_set_ext_key_usage(&w, &use), 0);
	}
	assert_int_equal(mbedtls_x509write_crt_pem(&w, (unsigned char *)i->pem, PEM_BYTES, randomly, NULL), 0);
	assert_int_equal(mbedtls_x509_crt_parse(&i->crt, (unsigned char *)i->pem, strlen(i->pem) + 1), 0);
	mbedtls_x509write_crt_free(&w);
}

static void
drop(struct identity *i)
{
	mbedtls_pk_free(&i->key);
	mbedtls_x509_crt_free(&i->crt);
}

/* ── the two ends ── */

struct end {
	struct tls *tls;
	bool opened, ended;
	enum err why;
	unsigned drained;
	struct buf got;
	bool hold; /* leave what came in tls_in */
};

static void
on_opened(void *arg)
{
	((struct end *)arg)->opened = true;
}

static void
on_bytes(void *arg)
{
	struct end *e = arg;
	struct buf *in = tls_in(e->tls);

	if (e->hold)
		return;
	assert_int_equal(buf_add(&e->got, buf_at(in), in->len), ERR_OK);
	buf_eat(in, in->len);
	tls_read_on(e->tls);
}

static void
on_drained(void *arg)
{
	((struct end *)arg)->drained++;
}

static void
on_ended(void *arg, enum err why)
{
	struct end *e = arg;

	assert_false(e->ended && !e->why);
	e->ended = true;
	e->why = why;
}

static const struct tls_hooks hooks = {on_opened, on_bytes, on_drained, on_ended};

struct peer_side {
	int fd;
	mbedtls_ssl_config config;
	mbedtls_ssl_context ssl;
	int r;
	bool open;
};

static int
peer_send(void *arg, const unsigned char *bytes, size_t n)
{
	ssize_t sent = send(((struct peer_side *)arg)->fd, bytes, n, MSG_NOSIGNAL);

	return sent < 0 ? (errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF) : (int)sent;
}

static int
peer_recv(void *arg, unsigned char *bytes, size_t n)
{
	ssize_t got = recv(((struct peer_side *)arg)->fd, bytes, n, 0);

	return got < 0 ? (errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF) : (int)got;
}

static void
connect_both(struct end *e, struct peer_side *p, int socket_bytes)
{
	int pair[2];

	memset(e, 0, sizeof(*e));
	memset(p, 0, sizeof(*p));
	buf_init(&e->got, 16u << 20);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < 2 && socket_bytes; i++)
		assert_int_equal(setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &socket_bytes, sizeof(int)), 0);
	p->fd = pair[1];
	assert_int_equal(tls_new(server, base, pair[0], &hooks, e, &e->tls), ERR_OK);
}

static void
use_identity(struct peer_side *p, struct identity *i, mbedtls_ssl_protocol_version version)
{
	mbedtls_ssl_init(&p->ssl);
	mbedtls_ssl_config_init(&p->config);
	assert_int_equal(mbedtls_ssl_config_defaults(&p->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
												 MBEDTLS_SSL_PRESET_DEFAULT),
					 0);
	mbedtls_ssl_conf_rng(&p->config, randomly, NULL);
	mbedtls_ssl_conf_ca_chain(&p->config, &ca.crt, NULL);
	mbedtls_ssl_conf_min_tls_version(&p->config, version);
	mbedtls_ssl_conf_max_tls_version(&p->config, version);
	if (i)
		assert_int_equal(mbedtls_ssl_conf_own_cert(&p->config, &i->crt, &i->key), 0);
	assert_int_equal(mbedtls_ssl_setup(&p->ssl, &p->config), 0);
	assert_int_equal(mbedtls_ssl_set_hostname(&p->ssl, "server"), 0);
	mbedtls_ssl_set_bio(&p->ssl, p, peer_send, peer_recv, NULL);
}

static void
peer_free(struct peer_side *p)
{
	mbedtls_ssl_free(&p->ssl);
	mbedtls_ssl_config_free(&p->config);
	if (p->fd >= 0)
		close(p->fd);
}

static void
turn(void)
{
	/* with the pool, steps end when its thread has done them */
	if (tls_pool_runs())
		usleep(100);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Both ends, turn by turn, until both are through or one has ended. */
static void
shake(struct end *e, struct peer_side *p)
{
	for (int i = 0; i < 5000 && !e->ended && !(e->opened && p->open); i++) {
		if (!p->open) {
			p->r = mbedtls_ssl_handshake(&p->ssl);
			p->open = p->r == 0;
		}
		turn();
	}
}

static void
settle(struct end *e)
{
	for (int i = 0; i < 1000 && !e->ended; i++)
		turn();
}

static void
over(struct end *e, struct peer_side *p)
{
	tls_free(e->tls);
	buf_clear(&e->got);
	peer_free(p);
}

static void
a_client_with_a_good_certificate_gets_in(void **state)
{
	struct end e;
	struct peer_side p;
	uint8_t want[32];

	(void)state;
	connect_both(&e, &p, 0);
	use_identity(&p, &client, MBEDTLS_SSL_VERSION_TLS1_3);
	assert_false(tls_is_open(e.tls));
	assert_true(sodium_is_zero(tls_fingerprint(e.tls), 32));
	shake(&e, &p);
	assert_true(e.opened && tls_is_open(e.tls));
	assert_string_equal(tls_version(e.tls), "TLSv1.3");
	crypto_hash_sha256(want, client.crt.raw.p, client.crt.raw.len);
	assert_memory_equal(tls_fingerprint(e.tls), want, 32);
	assert_int_equal(tls_peer_expires_at_s(e.tls), 4102444799); /* 2099-12-31T23:59:59Z */
	assert_int_equal(mbedtls_ssl_write(&p.ssl, (const unsigned char *)"hello", 5), 5);
	turn();
	assert_int_equal(e.got.len, 5);
	/* no ticket ever comes: nobody can resume without a certificate */
	unsigned char byte;
	assert_int_equal(mbedtls_ssl_read(&p.ssl, &byte, 1), MBEDTLS_ERR_SSL_WANT_READ);
	over(&e, &p);
}

static void
all_others_stay_outside_and_the_reason_is_known(void **state)
{
	static const struct {
		struct identity *who;
		mbedtls_ssl_protocol_version version;
		enum err why;
	} table[] = {{NULL, MBEDTLS_SSL_VERSION_TLS1_3, ERR_CERTIFICATE_MISSING},
				 {&enemy, MBEDTLS_SSL_VERSION_TLS1_3, ERR_CERTIFICATE_INVALID},
				 {&late, MBEDTLS_SSL_VERSION_TLS1_3, ERR_CERTIFICATE_INVALID},
				 {&server_kind, MBEDTLS_SSL_VERSION_TLS1_3, ERR_CERTIFICATE_INVALID},
				 {&client, MBEDTLS_SSL_VERSION_TLS1_2, ERR_PROTOCOL}};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		uint64_t failed = tls_failure_count();
		struct end e;
		struct peer_side p;

		connect_both(&e, &p, 0);
		use_identity(&p, table[i].who, table[i].version);
		shake(&e, &p);
		assert_false(e.opened);
		assert_true(e.ended);
		assert_int_equal(e.why, table[i].why);
		assert_int_equal(tls_failure_count(), failed + 1);
		assert_int_equal(tls_write(e.tls, "x", 1), ERR_PEER_AWAY);
		over(&e, &p);
	}
}

static void
nonsense_and_endless_handshakes_end(void **state)
{
	static const unsigned char record[] = {0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff};
	unsigned char noise[4096];
	struct end e;
	struct peer_side p = {0};

	(void)state;
	connect_both(&e, &p, 0);
	assert_int_equal(send(p.fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	settle(&e);
	assert_true(e.ended && !e.opened);
	assert_int_equal(e.why, ERR_PROTOCOL);
	over(&e, &p);
	connect_both(&e, &p, 0);
	memset(noise, 0x41, sizeof(noise));
	assert_int_equal(send(p.fd, record, sizeof(record), 0), sizeof(record));
	for (int i = 0; i < 100 && !e.ended; i++) {
		(void)!send(p.fd, noise, sizeof(noise), MSG_NOSIGNAL);
		turn();
	}
	assert_true(e.ended && !e.opened && e.why);
	over(&e, &p);
	connect_both(&e, &p, 0);
	close(p.fd);
	p.fd = -1;
	settle(&e);
	assert_true(e.ended);
	assert_int_equal(e.why, ERR_PEER_AWAY);
	over(&e, &p);
}

/* Random runs both ways through sockets that hold a few kilobytes: all arrives, in order, and nothing else. */
static void
no_byte_is_lost_in_small_sockets(void **state)
{
	enum { BYTES = 3 << 20 };
	static uint8_t sent[BYTES], back[BYTES];
	size_t out_n = 0, back_n = 0, up_n = 0, pending = 0;
	struct end e;
	struct peer_side p;

	(void)state;
	connect_both(&e, &p, 4608);
	use_identity(&p, &client, MBEDTLS_SSL_VERSION_TLS1_3);
	shake(&e, &p);
	assert_true(e.opened);
	randombytes_buf(sent, sizeof(sent));
	for (int i = 0; i < 2000000 && (back_n < BYTES || e.got.len < BYTES); i++) {
		/* many small runs too: they pile up behind a blocked one */
		size_t n = 1 + randombytes_uniform(randombytes_uniform(4) ? 200 : 40000);
		int r;

		if (out_n < BYTES && tls_waiting(e.tls) < (i % 64 < 32 ? 2000u : 100000u)) { /* down */
			n = n < BYTES - out_n ? n : BYTES - out_n;
			assert_int_equal(tls_write(e.tls, sent + out_n, n), ERR_OK);
			out_n += n;
		}
		if (up_n < BYTES) { /* up; a blocked write is repeated with the same length */
			if (!pending)
				pending = 1 + randombytes_uniform(16384);
			pending = pending < BYTES - up_n ? pending : BYTES - up_n;
			r = mbedtls_ssl_write(&p.ssl, sent + up_n, pending);
			assert_true(r > 0 || r == MBEDTLS_ERR_SSL_WANT_WRITE);
			if (r > 0) {
				up_n += (size_t)r;
				pending = 0;
			}
		}
		turn();
		while (back_n < BYTES && (r = mbedtls_ssl_read(&p.ssl, back + back_n, BYTES - back_n)) > 0)
			back_n += (size_t)r;
	}
	assert_int_equal(back_n, BYTES);
	assert_int_equal(e.got.len, BYTES);
	assert_memory_equal(back, sent, BYTES);
	assert_memory_equal(buf_at(&e.got), sent, BYTES);
	assert_true(e.drained > 0);
	assert_false(e.ended);
	over(&e, &p);
}

/* A client that keeps back what it sends until told to: then all of it arrives in one piece. */
static struct {
	bool on;
	struct buf bytes;
} held;

static int
send_held(void *arg, const unsigned char *bytes, size_t n)
{
	if (!held.on)
		return peer_send(arg, bytes, n);
	assert_int_equal(buf_add(&held.bytes, bytes, n), ERR_OK);
	return (int)n;
}

static void
a_request_in_one_piece_with_the_handshake_is_read(void **state)
{
	struct end e;
	struct peer_side p;

	(void)state;
	buf_init(&held.bytes, 65536);
	connect_both(&e, &p, 0);
	use_identity(&p, &client, MBEDTLS_SSL_VERSION_TLS1_3);
	mbedtls_ssl_set_bio(&p.ssl, &p, send_held, peer_recv, NULL);
	for (int i = 0; i < 5000 && !p.open; i++) {
		p.open = mbedtls_ssl_handshake(&p.ssl) == 0;
		held.on = true; /* the first flight has gone */
		turn();
	}
	assert_true(p.open && !e.opened);
	assert_int_equal(mbedtls_ssl_write(&p.ssl, (const unsigned char *)"question", 8), 8);
	assert_int_equal(send(p.fd, buf_at(&held.bytes), held.bytes.len, 0), (ssize_t)held.bytes.len);
	for (int i = 0; i < 1000 && e.got.len < 8; i++)
		turn();
	assert_int_equal(e.got.len, 8);
	held.on = false;
	buf_clear(&held.bytes);
	over(&e, &p);
}

static void
an_owner_that_does_not_eat_stops_the_reading(void **state)
{
	static uint8_t bytes[16384];
	size_t up = 0;
	struct end e;
	struct peer_side p;

	(void)state;
	connect_both(&e, &p, 0);
	use_identity(&p, &client, MBEDTLS_SSL_VERSION_TLS1_3);
	shake(&e, &p);
	e.hold = true;
	for (int i = 0; i < 200; i++) {
		int r = mbedtls_ssl_write(&p.ssl, bytes, sizeof(bytes));

		up += r > 0 ? (size_t)r : 0;
		turn();
	}
	assert_in_range(tls_in(e.tls)->len, TLS_IN_MAX, TLS_IN_MAX + 4096);
	assert_true(up > TLS_IN_MAX);
	e.hold = false;
	on_bytes(&e);
	for (int i = 0; i < 200; i++)
		turn();
	assert_true(e.got.len >= up - sizeof(bytes));
	over(&e, &p);
}

static void
the_last_answer_arrives_before_the_end(void **state)
{
	static uint8_t answer[300000], back[sizeof(answer) + 1];
	size_t n = 0;
	struct end e;
	struct peer_side p;
	int r = 0;

	(void)state;
	randombytes_buf(answer, sizeof(answer));
	connect_both(&e, &p, 4608);
	use_identity(&p, &client, MBEDTLS_SSL_VERSION_TLS1_3);
	shake(&e, &p);
	/* the client has said all it wants and closes its half; the answer still comes whole, then our close_notify */
	assert_int_equal(mbedtls_ssl_write(&p.ssl, (const unsigned char *)"question", 8), 8);
	assert_int_equal(mbedtls_ssl_close_notify(&p.ssl), 0);
	turn();
	turn();
	assert_int_equal(e.got.len, 8);
	assert_true(e.ended && e.why == ERR_OK);
	assert_int_equal(tls_write(e.tls, answer, sizeof(answer)), ERR_OK);
	tls_finish(e.tls);
	assert_int_equal(tls_write(e.tls, "x", 1), ERR_PEER_AWAY);
	for (int i = 0; i < 100000 && r != MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY; i++) {
		turn();
		r = mbedtls_ssl_read(&p.ssl, back + n, sizeof(back) - n);
		n += r > 0 ? (size_t)r : 0;
	}
	assert_int_equal(r, MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
	assert_int_equal(n, sizeof(answer));
	assert_memory_equal(back, answer, n);
	over(&e, &p);
}

/* A record that was changed on its way is no end of the conversation: what came before it counts, and all is over. */
static void
a_broken_record_is_no_clean_end(void **state)
{
	static const uint8_t broken[] = {23, 3,  3,  0,  32, 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
									 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};

	(void)state;
	for (int with_question = 0; with_question < 2; with_question++) {
		struct end e;
		struct peer_side p;

		connect_both(&e, &p, 0);
		use_identity(&p, &client, MBEDTLS_SSL_VERSION_TLS1_3);
		shake(&e, &p);
		if (with_question)
			assert_int_equal(mbedtls_ssl_write(&p.ssl, (const unsigned char *)"question", 8), 8);
		assert_int_equal(send(p.fd, broken, sizeof(broken), 0), sizeof(broken));
		settle(&e);
		assert_int_equal(e.got.len, with_question ? 8 : 0);
		assert_true(e.ended);
		assert_int_equal(e.why, ERR_PROTOCOL);
		assert_int_equal(tls_write(e.tls, "x", 1), ERR_PEER_AWAY);
		over(&e, &p);
	}
}

/* Handshakes cost milliseconds: between two steps of them an open connection is served. */
static void
open_connections_are_served_between_handshakes(void **state)
{
	enum { CROWD = 8 };
	struct end e, crowd[CROWD];
	struct peer_side p, others[CROWD];
	unsigned served = 0;

	(void)state;
	connect_both(&e, &p, 0);
	use_identity(&p, &client, MBEDTLS_SSL_VERSION_TLS1_3);
	shake(&e, &p);
	for (int i = 0; i < CROWD; i++) {
		connect_both(&crowd[i], &others[i], 0);
		use_identity(&others[i], &client, MBEDTLS_SSL_VERSION_TLS1_3);
		assert_int_equal(mbedtls_ssl_handshake(&others[i].ssl), MBEDTLS_ERR_SSL_WANT_READ);
	}
	for (int i = 0; i < CROWD + 2; i++) {
		size_t before = e.got.len;

		assert_int_equal(mbedtls_ssl_write(&p.ssl, (const unsigned char *)"x", 1), 1);
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		served += e.got.len > before;
	}
	assert_in_range(served, CROWD, CROWD + 2);
	for (int i = 0; i < CROWD; i++)
		shake(&crowd[i], &others[i]);
	for (int i = 0; i < CROWD; i++) {
		assert_true(crowd[i].opened);
		over(&crowd[i], &others[i]);
	}
	over(&e, &p);
}

/* Clients that go away, and owners that lose patience, while the thread has their handshake. */
static void
a_connection_may_end_while_it_is_lent(void **state)
{
	enum { CROWD = 16 };
	struct end crowd[CROWD], e;
	struct peer_side others[CROWD], p;

	(void)state;
	for (int i = 0; i < CROWD; i++) {
		connect_both(&crowd[i], &others[i], 0);
		use_identity(&others[i], &client, MBEDTLS_SSL_VERSION_TLS1_3);
		assert_int_equal(mbedtls_ssl_handshake(&others[i].ssl), MBEDTLS_ERR_SSL_WANT_READ);
	}
	event_base_loop(base, EVLOOP_NONBLOCK); /* all are lent, none is back */
	for (int i = 0; i < CROWD; i++) {
		if (i % 2) {
			close(others[i].fd);
			others[i].fd = -1;
		}
		over(&crowd[i], &others[i]);
	}
	connect_both(&e, &p, 0);
	use_identity(&p, &client, MBEDTLS_SSL_VERSION_TLS1_3);
	shake(&e, &p);
	assert_true(e.opened);
	for (int i = 0; i < CROWD; i++)
		assert_false(crowd[i].opened || crowd[i].ended);
	over(&e, &p);
}

static int
start_pool(void **state)
{
	(void)state;
	return tls_pool_open(base) || tls_pool_start();
}

static enum err
server_of(const char *certificate, const char *key, const char *client_ca, struct tls_server **out)
{
	struct tls_material m = {.certificate = (const uint8_t *)certificate,
							 .certificate_bytes = strlen(certificate) + 1,
							 .key = (const uint8_t *)key,
							 .key_bytes = strlen(key) + 1,
							 .client_ca = (const uint8_t *)client_ca,
							 .client_ca_bytes = strlen(client_ca) + 1};

	return tls_server_new(&m, out);
}

static void
material_that_does_not_fit_is_refused(void **state)
{
	struct tls_server *s;

	(void)state;
	assert_int_equal(server_of(ours.pem, client.key_pem, ca.pem, &s), ERR_FILE_FORM);
	assert_null(s);
	assert_int_equal(server_of("", ours.key_pem, ca.pem, &s), ERR_FILE_FORM);
	assert_int_equal(server_of(ours.pem, "nonsense", ca.pem, &s), ERR_FILE_FORM);
	assert_int_equal(server_of(ours.pem, ours.key_pem, "nonsense", &s), ERR_FILE_FORM);
	assert_int_equal(tls_server_expires_at_s(server), 4102444799);
}

/* mbedTLS' own arithmetic, by the door that is not wrapped. */
static void
agree_by_mbedtls(const uint8_t key[32], const uint8_t point[32], uint8_t out[32])
{
	mbedtls_ecp_keypair pair;
	mbedtls_ecp_group group;
	mbedtls_ecp_point q;
	mbedtls_mpi d, z;

	mbedtls_ecp_keypair_init(&pair);
	mbedtls_ecp_group_init(&group);
	mbedtls_ecp_point_init(&q);
	mbedtls_mpi_init(&d);
	mbedtls_mpi_init(&z);
	assert_int_equal(mbedtls_ecp_read_key(MBEDTLS_ECP_DP_CURVE25519, &pair, key, 32), 0);
	assert_int_equal(mbedtls_ecp_export(&pair, &group, &d, &q), 0);
	assert_int_equal(mbedtls_ecp_point_read_binary(&group, &q, point, 32), 0);
	assert_int_equal(mbedtls_ecdh_compute_shared(&group, &z, &q, &d, randomly, NULL), 0);
	assert_int_equal(mbedtls_mpi_write_binary_le(&z, out, 32), 0);
	mbedtls_mpi_free(&d);
	mbedtls_mpi_free(&z);
	mbedtls_ecp_point_free(&q);
	mbedtls_ecp_group_free(&group);
	mbedtls_ecp_keypair_free(&pair);
}

/* The public key and the shared secret of key and point by PSA, as TLS asks for them. */
static psa_status_t
agree_by_psa(const uint8_t key[32], const uint8_t point[32], uint8_t public_out[32], uint8_t out[32])
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	mbedtls_svc_key_id_t id;
	psa_status_t r;
	size_t n;

	psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_MONTGOMERY));
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
	psa_set_key_algorithm(&attributes, PSA_ALG_ECDH);
	assert_int_equal(psa_import_key(&attributes, key, 32, &id), PSA_SUCCESS);
	assert_int_equal(psa_export_public_key(id, public_out, 32, &n), PSA_SUCCESS);
	r = psa_raw_key_agreement(PSA_ALG_ECDH, id, point, 32, out, 32, &n);
	assert_int_equal(psa_destroy_key(id), PSA_SUCCESS);
	return r;
}

static void
unhex(uint8_t out[32], const char *hex)
{
	assert_int_equal(sodium_hex2bin(out, 32, hex, 64, NULL, NULL, NULL), 0);
}

/* RFC 7748 6.1; then what mbedTLS itself gives; then a point of small order, which must not become a secret. */
static void
x25519_is_that_of_the_standard(void **state)
{
	static const uint8_t zero[32];
	uint8_t key[32], point[32], want[32], public[32], out[32];
	uint64_t before = tls_x25519_count();

	(void)state;
	unhex(key, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
	unhex(point, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	assert_int_equal(agree_by_psa(key, point, public, out), PSA_SUCCESS);
	assert_int_equal(tls_x25519_count(), before + 2);
	unhex(want, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	assert_memory_equal(public, want, 32);
	unhex(want, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	assert_memory_equal(out, want, 32);
	for (int i = 0; i < 50; i++) {
		randombytes_buf(key, 32);
		agree_by_mbedtls(key, point, want);
		assert_int_equal(agree_by_psa(key, point, public, out), PSA_SUCCESS);
		assert_memory_equal(out, want, 32);
		memcpy(point, public, 32);
	}
	assert_int_not_equal(agree_by_psa(key, zero, public, out), PSA_SUCCESS);
}

static int
set_up(void **state)
{
	static const char for_clients[] = "\x2b\x06\x01\x05\x05\x07\x03\x02",
					  for_servers[] = "\x2b\x06\x01\x05\x05\x07\x03\x01";

	(void)state;
	assert_true(sodium_init() >= 0);
	assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
	base = event_base_new();
	make(&ca, &ca, "CN=lab", "20991231235959", NULL);
	make(&foreign, &foreign, "CN=foreign", "20991231235959", NULL);
	make(&ours, &ca, "CN=server", "20991231235959", for_servers);
	make(&client, &ca, "CN=client", "20991231235959", for_clients);
	make(&enemy, &foreign, "CN=enemy", "20991231235959", for_clients);
	make(&late, &ca, "CN=late", "20200102000000", for_clients);
	make(&server_kind, &ca, "CN=server kind", "20991231235959", for_servers);
	return server_of(ours.pem, ours.key_pem, ca.pem, &server);
}

static int
tear_down(void **state)
{
	struct identity *all[] = {&ca, &foreign, &ours, &client, &enemy, &late, &server_kind};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		drop(all[i]);
	tls_server_release(server);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_with_a_good_certificate_gets_in),
		cmocka_unit_test(all_others_stay_outside_and_the_reason_is_known),
		cmocka_unit_test(nonsense_and_endless_handshakes_end),
		cmocka_unit_test(no_byte_is_lost_in_small_sockets),
		cmocka_unit_test(a_request_in_one_piece_with_the_handshake_is_read),
		cmocka_unit_test(an_owner_that_does_not_eat_stops_the_reading),
		cmocka_unit_test(the_last_answer_arrives_before_the_end),
		cmocka_unit_test(a_broken_record_is_no_clean_end),
		cmocka_unit_test(open_connections_are_served_between_handshakes),
		cmocka_unit_test(material_that_does_not_fit_is_refused),
		cmocka_unit_test(x25519_is_that_of_the_standard),
		/* once more, with the thread */
		cmocka_unit_test_setup(a_client_with_a_good_certificate_gets_in, start_pool),
		cmocka_unit_test(all_others_stay_outside_and_the_reason_is_known),
		cmocka_unit_test(nonsense_and_endless_handshakes_end),
		cmocka_unit_test(a_request_in_one_piece_with_the_handshake_is_read),
		cmocka_unit_test(a_connection_may_end_while_it_is_lent),
		cmocka_unit_test(the_last_answer_arrives_before_the_end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

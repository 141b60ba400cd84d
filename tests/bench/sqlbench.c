/*
 * sqlbench - what the encrypted store can do, whatever the program above it.
 *
 * One "payment" is three rows written in one transaction: a payment event, an
 * idempotency row and an outbox row, about 1 KB in all. --group N puts N payments in
 * one durable transaction (group commit). With --key none the same library writes a
 * plain SQLite file, so the pair gives the cost of the encryption alone.
 *
 * Build: see ../Makefile.        Usage: sqlbench --help
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static sqlite3 *db;

static void die(const char *what)
{
    fprintf(stderr, "sqlbench: %s: %s\n", what, db ? sqlite3_errmsg(db) : "");
    exit(2);
}

static void ex(const char *sql)
{
    char *e = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &e) != SQLITE_OK) { fprintf(stderr, "sqlbench: %s: %s\n", sql, e); exit(2); }
}

static sqlite3_stmt *prep(const char *sql)
{
    sqlite3_stmt *s;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK) die(sql);
    return s;
}

static uint64_t rs;
static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}
static uint64_t rnd(void) { return rs = mix(rs); }

/* payment n's identifiers are functions of n, so any row can be looked up again */
static void pay_id(uint64_t n, unsigned char *o)      /* time-ordered, as UUIDv7 */
{
    uint64_t t = 1763000000000ull + n, r = mix(n);
    for (int i = 0; i < 6; i++) o[i] = (unsigned char)(t >> (40 - 8 * i));
    for (int i = 0; i < 8; i++) o[6 + i] = (unsigned char)(r >> (8 * i));
    o[14] = (unsigned char)n; o[15] = (unsigned char)(n >> 8);
}
static void idem_key(uint64_t n, char *o)             /* the client's choice: random */
{
    uint64_t a = mix(n * 2 + 1), b = mix(a);
    sprintf(o, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff),
            (unsigned)(0x8000 | (b >> 48 & 0x3fff)), (unsigned long long)(b & 0xffffffffffffull));
}

static int cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
static double pct(double *v, size_t n, double p)
{
    size_t i = (size_t)((double)(n - 1) * p / 100);
    return n ? v[i] * 1e3 : 0;
}

static sqlite3_stmt *s_ev, *s_id, *s_ob, *s_begin, *s_commit;

static void step(sqlite3_stmt *s)
{
    if (sqlite3_step(s) != SQLITE_DONE) die("step");
    sqlite3_reset(s);
}

static char json_ev[360], json_resp[300], json_ob[320];

/* --schema lean: the same facts written once. The event carries the answer and the body hash, the idempotency
 * row is a 16-byte hash of (merchant, key) pointing at the event, the outbox row is a pointer too. */
static int lean;

static void lean_payment(uint64_t n)
{
    unsigned char id[16], h[16];
    static char data[420];
    if (!data[0]) memset(data, 'e', sizeof data - 1);
    pay_id(n, id);
    for (int i = 0; i < 2; i++) { uint64_t r = mix(n * 2 + 1 + (uint64_t)i); memcpy(h + 8 * i, &r, 8); }
    sqlite3_bind_blob(s_ev, 1, id, 16, SQLITE_STATIC);
    sqlite3_bind_int(s_ev, 2, 1);
    sqlite3_bind_int(s_ev, 3, 1);
    sqlite3_bind_int64(s_ev, 4, (sqlite3_int64)(1763000000000ull + n));
    sqlite3_bind_text(s_ev, 5, data, -1, SQLITE_STATIC);
    step(s_ev);
    sqlite3_int64 seq = sqlite3_last_insert_rowid(db);
    sqlite3_bind_blob(s_id, 1, h, 16, SQLITE_STATIC);
    sqlite3_bind_int64(s_id, 2, seq);
    step(s_id);
    sqlite3_bind_int64(s_ob, 1, seq);
    sqlite3_bind_int(s_ob, 2, 1);
    step(s_ob);
}

static void one_payment(uint64_t n)
{
    if (lean) { lean_payment(n); return; }
    unsigned char id[16], hash[32];
    char key[40];
    pay_id(n, id);
    idem_key(n, key);
    for (int i = 0; i < 4; i++) { uint64_t r = mix(n * 7 + (uint64_t)i); memcpy(hash + 8 * i, &r, 8); }
    sqlite3_bind_blob(s_ev, 1, id, 16, SQLITE_STATIC);
    sqlite3_bind_int(s_ev, 2, 1);
    sqlite3_bind_text(s_ev, 3, "payment.authorized", -1, SQLITE_STATIC);
    sqlite3_bind_int64(s_ev, 4, (sqlite3_int64)(1763000000000ull + n));
    sqlite3_bind_text(s_ev, 5, json_ev, -1, SQLITE_STATIC);
    step(s_ev);
    sqlite3_bind_int64(s_id, 1, (sqlite3_int64)(n % 97));
    sqlite3_bind_text(s_id, 2, key, 36, SQLITE_STATIC);
    sqlite3_bind_blob(s_id, 3, hash, 32, SQLITE_STATIC);
    sqlite3_bind_blob(s_id, 4, id, 16, SQLITE_STATIC);
    sqlite3_bind_text(s_id, 5, json_resp, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s_id, 6, (sqlite3_int64)(1763086400000ull + n));
    step(s_id);
    sqlite3_bind_text(s_ob, 1, "payments.events", -1, SQLITE_STATIC);
    sqlite3_bind_blob(s_ob, 2, id, 16, SQLITE_STATIC);
    sqlite3_bind_text(s_ob, 3, json_ob, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s_ob, 4, (sqlite3_int64)(1763000000000ull + n));
    step(s_ob);
}

static void flush_all(void) { sync(); }

int main(int argc, char **argv)
{
    const char *path = "sqlbench.db", *key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const char *sync = "FULL", *hmac = NULL, *label = "";
    long n = 10000, group = 1, preload = 0, page = 4096, cache_mb = 64, sel = 0, autockpt = 1000;
    double secs = 0;
    int keep = 0;
    static const struct option lo[] = {
        { "db", 1, 0, 'd' }, { "key", 1, 0, 'k' }, { "payments", 1, 0, 'n' }, { "seconds", 1, 0, 's' }, { "group", 1, 0, 'g' },
        { "sync", 1, 0, 'S' }, { "preload", 1, 0, 'p' }, { "select", 1, 0, 'q' }, { "page", 1, 0, 'P' }, { "cache-mb", 1, 0, 'c' },
        { "autockpt", 1, 0, 'a' }, { "hmac", 1, 0, 'H' }, { "keep", 0, 0, 'K' }, { "schema", 1, 0, 'L' }, { "label", 1, 0, 'l' }, { "help", 0, 0, 'h' }, { 0, 0, 0, 0 } };
    int o;
    while ((o = getopt_long(argc, argv, "d:k:n:s:g:S:p:q:P:c:a:H:KL:l:h", lo, NULL)) != -1) switch (o) {
        case 'd': path = optarg; break; case 'k': key = optarg; break; case 'n': n = atol(optarg); break;
        case 's': secs = atof(optarg); break; case 'g': group = atol(optarg); break; case 'S': sync = optarg; break;
        case 'p': preload = atol(optarg); break; case 'q': sel = atol(optarg); break; case 'P': page = atol(optarg); break;
        case 'c': cache_mb = atol(optarg); break; case 'a': autockpt = atol(optarg); break; case 'H': hmac = optarg; break;
        case 'K': keep = 1; break; case 'L': lean = !strcmp(optarg, "lean"); break; case 'l': label = optarg; break;
        default:
            puts("usage: sqlbench [--db FILE] [--key HEX64|none] [--payments N | --seconds S] [--group N] [--sync FULL|NORMAL|OFF|EXTRA]\n"
                 "  [--preload N] payments stored first, unmeasured      [--select N] point reads afterwards\n"
                 "  [--page BYTES] [--cache-mb N] [--autockpt PAGES] [--hmac HMAC_SHA1|HMAC_SHA256|HMAC_SHA512] [--schema plain|lean] [--keep] [--label TEXT]");
            return o == 'h' ? 0 : 2;
        }
    char b[600];
    unlink(path);
    snprintf(b, sizeof b, "%s-wal", path); unlink(b);
    snprintf(b, sizeof b, "%s-shm", path); unlink(b);
    memset(json_ev, 'e', sizeof json_ev - 1); memset(json_resp, 'r', sizeof json_resp - 1); memset(json_ob, 'o', sizeof json_ob - 1);

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL)) die(path);
    if (strcmp(key, "none")) {
        snprintf(b, sizeof b, "PRAGMA key = \"x'%s'\"", key); ex(b);
        snprintf(b, sizeof b, "PRAGMA cipher_page_size = %ld", page); ex(b);
        if (hmac) { snprintf(b, sizeof b, "PRAGMA cipher_hmac_algorithm = %s", hmac); ex(b); }
    } else { snprintf(b, sizeof b, "PRAGMA page_size = %ld", page); ex(b); }
    ex("PRAGMA journal_mode = WAL");
    snprintf(b, sizeof b, "PRAGMA cache_size = -%ld", cache_mb * 1024); ex(b);
    snprintf(b, sizeof b, "PRAGMA wal_autocheckpoint = %ld", autockpt); ex(b);
    ex("PRAGMA synchronous = OFF");
    if (lean) {
        ex("CREATE TABLE payment_event(seq INTEGER PRIMARY KEY, payment_id BLOB NOT NULL, version INTEGER NOT NULL, type INTEGER NOT NULL,"
           " at INTEGER NOT NULL, data TEXT NOT NULL, UNIQUE(payment_id, version))");
        ex("CREATE TABLE idempotency(h BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID");
        ex("CREATE TABLE outbox(seq INTEGER PRIMARY KEY, topic INTEGER NOT NULL)");
        s_ev = prep("INSERT INTO payment_event(payment_id,version,type,at,data) VALUES(?1,?2,?3,?4,?5)");
        s_id = prep("INSERT INTO idempotency(h,seq) VALUES(?1,?2)");
        s_ob = prep("INSERT INTO outbox(seq,topic) VALUES(?1,?2)");
    } else {
    ex("CREATE TABLE payment_event(seq INTEGER PRIMARY KEY, payment_id BLOB NOT NULL, version INTEGER NOT NULL, type TEXT NOT NULL,"
       " at INTEGER NOT NULL, data TEXT NOT NULL, UNIQUE(payment_id, version))");
    ex("CREATE TABLE idempotency(merchant INTEGER NOT NULL, key TEXT NOT NULL, body_hash BLOB NOT NULL, payment_id BLOB NOT NULL,"
       " response TEXT NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY(merchant, key)) WITHOUT ROWID");
    ex("CREATE TABLE outbox(id INTEGER PRIMARY KEY, topic TEXT NOT NULL, group_id BLOB NOT NULL, data TEXT NOT NULL, at INTEGER NOT NULL)");
    s_ev = prep("INSERT INTO payment_event(payment_id,version,type,at,data) VALUES(?1,?2,?3,?4,?5)");
    s_id = prep("INSERT INTO idempotency(merchant,key,body_hash,payment_id,response,expires) VALUES(?1,?2,?3,?4,?5,?6)");
    s_ob = prep("INSERT INTO outbox(topic,group_id,data,at) VALUES(?1,?2,?3,?4)");
    }
    s_begin = prep("BEGIN IMMEDIATE");
    s_commit = prep("COMMIT");

    uint64_t id = 0;
    double pre0 = now();
    while ((long)id < preload) {
        step(s_begin);
        for (int i = 0; i < 1000 && (long)id < preload; i++) one_payment(id++);
        step(s_commit);
    }
    double pre = now() - pre0;
    if (preload) ex("PRAGMA wal_checkpoint(TRUNCATE)");
    snprintf(b, sizeof b, "PRAGMA synchronous = %s", sync); ex(b);
    if (preload) flush_all();

    size_t cap = 1 << 22, nl = 0;
    double *lat = malloc(cap * sizeof *lat);
    double c0 = cpu(), t0 = now(), tl = t0;
    long done = 0;
    while (secs > 0 ? tl - t0 < secs : done < n) {
        step(s_begin);
        for (long i = 0; i < group; i++, done++) one_payment(id++);
        step(s_commit);
        double t = now();
        if (nl < cap) lat[nl++] = t - tl;
        tl = t;
    }
    double dt = tl - t0, dc = cpu() - c0;
    qsort(lat, nl, sizeof *lat, cmp);
    struct stat st;
    stat(path, &st);
    printf("{\"label\":\"%s\",\"key\":\"%s\",\"sync\":\"%s\",\"group\":%ld,\"preload\":%ld,\"preload_per_s\":%.0f,\"page\":%ld,\"payments\":%ld,"
           "\"secs\":%.3f,\"commits_per_s\":%.1f,\"payments_per_s\":%.1f,\"rows_per_s\":%.1f,\"cpu_us_per_payment\":%.2f,"
           "\"commit_p50_ms\":%.4f,\"commit_p95_ms\":%.4f,\"commit_p99_ms\":%.4f,\"commit_p999_ms\":%.4f,\"commit_max_ms\":%.4f,\"file_mb\":%.1f",
           label, strcmp(key, "none") ? "raw" : "none", sync, group, preload, pre > 0 && preload ? (double)preload / pre : 0, page, done, dt,
           (double)nl / dt, (double)done / dt, 3.0 * (double)done / dt, dc * 1e6 / (double)done, pct(lat, nl, 50), pct(lat, nl, 95),
           pct(lat, nl, 99), pct(lat, nl, 99.9), pct(lat, nl, 100), (double)st.st_size / 1e6);
    if (sel) {
        sqlite3_stmt *q1 = prep("SELECT seq,type,at,data FROM payment_event WHERE payment_id=?1 AND version=1");
        sqlite3_stmt *q2 = prep(lean ? "SELECT e.payment_id,e.data FROM idempotency i JOIN payment_event e USING(seq) WHERE i.h=?1"
                                       : "SELECT body_hash,payment_id,response FROM idempotency WHERE merchant=?1 AND key=?2");
        for (int k = 0; k < 2; k++) {
            double a0 = now(), cc = cpu();
            for (long i = 0; i < sel; i++) {
                uint64_t m = rnd() % id;
                sqlite3_stmt *q = k ? q2 : q1;
                unsigned char pid[16]; char kk[40];
                unsigned char h[16];
                if (k && lean) { for (int z = 0; z < 2; z++) { uint64_t r = mix(m * 2 + 1 + (uint64_t)z); memcpy(h + 8 * z, &r, 8); } sqlite3_bind_blob(q, 1, h, 16, SQLITE_STATIC); }
                else if (k) { idem_key(m, kk); sqlite3_bind_int64(q, 1, (sqlite3_int64)(m % 97)); sqlite3_bind_text(q, 2, kk, 36, SQLITE_STATIC); }
                else { pay_id(m, pid); sqlite3_bind_blob(q, 1, pid, 16, SQLITE_STATIC); }
                if (sqlite3_step(q) != SQLITE_ROW) die("a row is missing");
                sqlite3_reset(q);
            }
            double a = now() - a0;
            printf(",\"%s_select_per_s\":%.0f,\"%s_select_cpu_us\":%.2f", k ? "idem" : "event", (double)sel / a, k ? "idem" : "event", (cpu() - cc) * 1e6 / (double)sel);
        }
    }
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    printf(",\"peak_mb\":%.1f}\n", (double)ru.ru_maxrss / 1024);
    if (!keep) { sqlite3_close_v2(db); unlink(path); snprintf(b, sizeof b, "%s-wal", path); unlink(b); snprintf(b, sizeof b, "%s-shm", path); unlink(b); }
    return 0;
}

#!/usr/bin/env python3
"""Bytes that no client library would send, over mutual TLS: each must get its status and code, or a closed connection.

usage: raw_http.py PORT CA CERT KEY [group]     groups: smuggling, limits, methods, slow, tls; planted
Prints one line per case and exits with the number of failures.
"""
import json, socket, ssl, sys, time

port, ca, cert, key = int(sys.argv[1]), *sys.argv[2:5]
groups = sys.argv[5:] or ["smuggling", "limits", "methods", "slow", "tls"]
failures = 0


def connect(timeout=8, **how):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    context.check_hostname = False
    if how.get("with_certificate", True):
        context.load_cert_chain(cert, key)
    if "maximum" in how:
        context.maximum_version = how["maximum"]
    if "alpn" in how:
        context.set_alpn_protocols(how["alpn"])
    raw = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    return context.wrap_socket(raw, server_hostname="localhost")


def read_answers(s):
    """All answers until the other end closes or is silent for a while: a list of (status, headers, body)."""
    data, answers = b"", []
    s.settimeout(4)
    try:
        while True:
            more = s.recv(65536)
            if not more:
                break
            data += more
            s.settimeout(0.3)
    except (TimeoutError, socket.timeout):
        pass
    except (ssl.SSLError, ConnectionError):
        pass
    while data:
        head, sep, rest = data.partition(b"\r\n\r\n")
        if not sep:
            answers.append((0, {}, data))
            break
        lines = head.decode("latin-1").split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
        n = int(headers.get("content-length", 0))
        answers.append((int(lines[0].split()[1]), headers, rest[:n]))
        data = rest[n:]
    return answers


def tell(name, fine, seen):
    global failures
    failures += not fine
    print(f"{'ok' if fine else 'FAILED'}  {name}" + ("" if fine else f"  saw: {seen}"))


def codes(answers):
    out = []
    for status, headers, body in answers:
        code = ""
        if headers.get("content-type", "").startswith("application/problem+json"):
            problem = json.loads(body)
            code = problem["code"]
            assert problem["status"] == status and problem["request_id"] == headers["request-id"], problem
        out.append(f"{status} {code}".strip())
    return out


def case(name, data, *wanted):
    """wanted: the answers in order; after a refusal that ends the connection nothing more may come."""
    s = connect()
    try:
        s.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
    except OSError:
        pass
    got = codes(read_answers(s))
    s.close()
    tell(name, got == list(wanted), got)


H = "Host: localhost\r\n"
EVIL = "GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\n\r\n"
BAD = "400 malformed_request"


def smuggling():
    post = "POST /v1/payments HTTP/1.1\r\n" + H
    case("length and chunked", post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL, BAD)
    case("chunked and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + EVIL, BAD)
    case("two lengths", post + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + EVIL, "400 duplicate_header")
    case("one length twice", post + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + EVIL, "400 duplicate_header")
    case("a list of lengths", post + "Content-Length: 0, 0\r\n\r\n" + EVIL, BAD)
    case("+length", post + "Content-Length: +0\r\n\r\n" + EVIL, BAD)
    case("xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + EVIL, BAD)
    case("chunked, identity", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + EVIL, BAD)
    case("gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + EVIL, BAD)
    case("two codings", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL, "400 duplicate_header")
    case("space before colon", post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + EVIL, BAD)
    case("folded coding", post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + EVIL, BAD)
    case("bare LF", "GET /livez HTTP/1.1\nHost: localhost\n\n" + EVIL, BAD)
    case("NUL in a value", "GET /livez HTTP/1.1\r\n" + H + "X: a\0b\r\n\r\n" + EVIL, BAD)
    case("bad chunk size", post + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n" + EVIL, BAD)
    case("chunk longer than said", post + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + EVIL, BAD)
    case("chunked in HTTP/1.0", "POST /v1/payments HTTP/1.0\r\n" + H + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL, BAD)
    case("no host", "GET /livez HTTP/1.1\r\n\r\n" + EVIL, BAD)
    case("two hosts", "GET /livez HTTP/1.1\r\n" + H + H + "\r\n" + EVIL, "400 duplicate_header")
    case("absolute form", "GET https://other/livez HTTP/1.1\r\n" + H + "\r\n" + EVIL, BAD)
    case("a fragment", "GET /livez#x HTTP/1.1\r\n" + H + "\r\n" + EVIL, BAD)
    case("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD)
    case("HTTP/1.9", "GET /livez HTTP/1.9\r\n" + H + "\r\n", BAD)
    case("not HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", BAD)
    case("a second spelling of a path", "GET /%6civez HTTP/1.1\r\n" + H + "\r\n", "404 not_found")
    case("dots in a path", "GET /v1/../livez HTTP/1.1\r\n" + H + "\r\n", "404 not_found")
    # what is right must go on working, in order, on one connection
    live = "GET /livez HTTP/1.1\r\n" + H + "\r\n"
    case("three at once are answered in order", live + "GET /nothing HTTP/1.1\r\n" + H + "\r\n" + live, "200", "404 not_found", "200")
    case("HTTP/1.0 closes", "GET /livez HTTP/1.0\r\n\r\n" + live, "200")
    case("an upgrade is ignored", "GET /livez HTTP/1.1\r\n" + H + "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n" + live, "200", "200")


def limits():
    post = "POST /v1/tokens HTTP/1.1\r\n" + H + "Idempotency-Key: k\r\nContent-Type: application/json\r\n"
    case("a long path", "GET /" + "a" * 3000 + " HTTP/1.1\r\n" + H + "\r\n", "414 uri_too_long")
    case("a long header", "GET /livez HTTP/1.1\r\n" + H + "X: " + "a" * 20000 + "\r\n\r\n", "431 headers_too_large")
    case("many headers", "GET /livez HTTP/1.1\r\n" + H + "X: 1\r\n" * 100 + "\r\n", "431 headers_too_large")
    case("endless spaces", "GET /livez HTTP/1.1\r\n" + H + "X: " + " " * 20000 + "\r\n\r\n", "431 headers_too_large")
    case("endless empty lines", "\r\n" * 10000 + "GET /livez HTTP/1.1\r\n" + H + "\r\n", "431 headers_too_large")
    case("a body that says it is large", post + "Content-Length: 70000\r\n\r\n", "413 body_too_large")
    case("a body that is large", post + "Content-Length: 70000\r\n\r\n" + "a" * 70000, "413 body_too_large")
    case("a chunked body that grows", post + "Transfer-Encoding: chunked\r\n\r\n" + ("4000\r\n" + "a" * 0x4000 + "\r\n") * 5, "413 body_too_large")
    case("endless chunk extensions", post + "Transfer-Encoding: chunked\r\n\r\n1;" + "a" * 600000, "413 body_too_large")
    case("a body as large as it may be", post + "Content-Length: 65536\r\n\r\n" + " " * 65534 + "{}", "400 missing_member")
    case("a packed body", post + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "415 unsupported_media_type")
    case("not JSON by type", "POST /v1/tokens HTTP/1.1\r\n" + H + "Idempotency-Key: k\r\nContent-Type: text/xml\r\nContent-Length: 2\r\n\r\n{}", "415 unsupported_media_type")
    case("another expectation", post + "Expect: tea\r\nContent-Length: 2\r\n\r\n{}", "417 expectation_failed")
    s = connect()
    s.sendall((post + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n").encode())
    first = s.recv(4096)
    s.sendall(b"{}")
    tell("100-continue", first == b"HTTP/1.1 100 Continue\r\n\r\n" and codes(read_answers(s)) == ["400 missing_member"], first)
    s.close()
    case("not acceptable", "GET /livez HTTP/1.1\r\n" + H + "Accept: image/png\r\n\r\n", "406 not_acceptable")
    case("two keys", post + "Idempotency-Key: b\r\nContent-Length: 2\r\n\r\n{}", "400 duplicate_header")
    case("an empty key", "POST /v1/tokens HTTP/1.1\r\n" + H + "Idempotency-Key:\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "400 invalid_idempotency_key")
    case("a long key", "POST /v1/tokens HTTP/1.1\r\n" + H + "Idempotency-Key: " + "k" * 256 + "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "400 invalid_idempotency_key")
    case("no key", "POST /v1/tokens HTTP/1.1\r\n" + H + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "400 missing_idempotency_key")
    case("a body where none is taken", "GET /v1/payments HTTP/1.1\r\n" + H + "Content-Length: 2\r\n\r\n{}", BAD)
    case("deep JSON", post + "Content-Length: 20000\r\n\r\n" + '{"a":' + "[" * 19995, "400 malformed_json")


def methods():
    for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "DELETE"):
        s = connect()
        s.sendall(f"{method} /livez HTTP/1.1\r\n{H}\r\nGET /livez HTTP/1.1\r\n{H}\r\n".encode())
        if method == "HEAD":  # an answer to HEAD has a length and no body
            s.settimeout(1.2)
            data = b""
            try:
                while data.count(b"HTTP/1.1") < 2 or not data.endswith(b"}"):
                    more = s.recv(65536)
                    if not more:
                        break
                    data += more
            except (TimeoutError, socket.timeout):
                pass
            head, _, rest = data.partition(b"\r\n\r\n")
            tell("HEAD", b" 405 " in head and rest.startswith(b"HTTP/1.1 200"), data[:200])
        else:
            answers = read_answers(s)
            tell(method, codes(answers) == ["405 method_not_allowed", "200"] and answers[0][1].get("allow") == "GET", codes(answers))
        s.close()


def ends_within(s, seconds):
    began = time.time()
    s.settimeout(seconds)
    try:
        while s.recv(65536):
            pass
    except (TimeoutError, socket.timeout):
        return False
    except OSError:
        pass
    return time.time() - began < seconds


def slow():
    """The scene sets gate.request_timeout and gate.handshake_timeout to one second."""
    s = connect()
    began = time.time()
    try:
        for c in "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
            s.sendall(c.encode())
            time.sleep(0.1)
    except OSError:
        pass
    got = codes(read_answers(s))
    tell("one byte of a header at a time", got == ["408 request_timeout"] and time.time() - began < 9, got)
    s.close()
    s = connect()
    s.sendall(("POST /v1/tokens HTTP/1.1\r\n" + H + "Idempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{").encode())
    time.sleep(1.5)
    got = codes(read_answers(s))
    tell("half a body", got == ["408 request_timeout"], got)
    s.close()
    raw = socket.create_connection(("127.0.0.1", port))
    tell("a connection that says nothing", ends_within(raw, 3), "still open")
    raw.close()
    raw = socket.create_connection(("127.0.0.1", port))
    raw.sendall(b"\x16\x03\x01\x02\x00")
    tell("half a handshake", ends_within(raw, 3), "still open")
    raw.close()


def refused(name, **how):
    """No answer to a request may come; whether the handshake or the first read fails is the client library's affair."""
    try:
        s = connect(timeout=5, **how)
        s.sendall(("GET /livez HTTP/1.1\r\n" + H + "\r\n").encode())
        data = s.recv(4096)
        tell(name, not data, data[:60])
        s.close()
    except OSError as e:
        tell(name, True, e)


def tls():
    refused("no certificate", with_certificate=False)
    refused("TLS 1.2", maximum=ssl.TLSVersion.TLSv1_2)
    refused("only h2 offered", alpn=["h2"])
    s = connect(alpn=["h2", "http/1.1"])
    tell("h2 and http/1.1 offered", s.selected_alpn_protocol() == "http/1.1", s.selected_alpn_protocol())
    s.close()
    raw = socket.create_connection(("127.0.0.1", port))
    raw.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    raw.settimeout(3)
    try:
        data = raw.recv(4096)
    except OSError:
        data = b""
    tell("HTTP without TLS", not data.startswith(b"HTTP"), data[:40])
    raw.close()
    raw = socket.create_connection(("127.0.0.1", port))
    try:
        raw.sendall(b"\x16\x03\x01\x40\x00" + bytes(range(256)) * 1024)
    except OSError:
        pass
    tell("a handshake of 256 KiB of nonsense", ends_within(raw, 3), "still open")
    raw.close()


def planted():
    """Three wrong expectations: this program must notice all of them."""
    live = "GET /livez HTTP/1.1\r\n" + H + "\r\n"
    case("planted: another status", live, "404 not_found")
    case("planted: one answer too few", live + live, "200")
    case("planted: another code", "GET /livez HTTP/1.1\r\n\r\n", "400 duplicate_header")


for g in groups:
    {"planted": planted, "smuggling": smuggling, "limits": limits, "methods": methods, "slow": slow, "tls": tls}[g]()
sys.exit(min(failures, 99))

/*
 * api — the table of everything that a client may ask for. A resource is one file that ends in `const struct api api_x`
 * and one row in policy-like api.def; routing, 405 with Allow, scopes, idempotency, strictness and /openapi.json follow
 * from the tables.
 */
#ifndef DAEMON_GATE_API_H
#define DAEMON_GATE_API_H

#include "daemon/gate/http.h"
#include "daemon/gate/render.h"
#include "daemon/gate/shape.h"

struct request;

enum route_flag {
	ROUTE_OPEN = 1,   /* any certificate of the CA, without a client record, sealed or not */
	ROUTE_EFFECT = 2, /* refused while the appliance refuses effects */
	ROUTE_KEY = 4,    /* needs an Idempotency-Key */
	ROUTE_BODY = 8    /* the body must be there (else it may be) */
};

struct route {
	enum method method;
	const char *path; /* segments; "{pay}" takes an id with that prefix, "{any}" any name */
	const char *id;   /* operationId */
	unsigned flags;
	int scope;                 /* enum scope */
	const struct shape *body;  /* NULL: takes none */
	const struct shape *query; /* NULL: takes none */
	void (*act)(struct request *r);
	int status;                  /* of success */
	const struct object *answer; /* NULL: something of its own */
	bool list;
	const char *summary;
	const char *example; /* a body that is taken, for the documents; NULL when none is needed */
};

struct api {
	const char *name;
	const struct route *routes;
	size_t n;
};
#define API_TABLE(name_, routes_)                                                       \
	{                                                                                   \
		.name = (name_), .routes = (routes_), .n = sizeof(routes_) / sizeof(*(routes_)) \
	}

#define API(x) extern const struct api api_##x;
#include "daemon/gate/api.def"
#undef API

#endif

/*
 * show — objects of the appliance as JSON documents and as lines for people.
 */
#ifndef CONSOLE_CTL_SHOW_H
#define CONSOLE_CTL_SHOW_H

#include <jansson.h>

#include "policy/schema/object.pb.h"

json_t *show_payment_json(const sp_payment_view *p);
json_t *show_operation_json(const sp_operation_view *o);
json_t *show_timeline_json(const sp_timeline_view *t);
json_t *show_client_json(const sp_client_view *c);
const char *show_payment_status(sp_payment_status s);
const char *show_operation_kind(sp_operation_kind k);
const char *show_operation_status(sp_operation_status s);
void show_money(int64_t minor, uint32_t currency, char out[32]);

#endif

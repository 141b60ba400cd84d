#include <stddef.h>

#include "daemon/domain/payment.h"

#define NAME(table, i) ((size_t)(i) < sizeof(table) / sizeof *(table) && (table)[i] ? (table)[i] : "")

const char *
payment_status_name(sp_payment_status s)
{
	static const char *const names[] = {[sp_STATUS_NONE] = "none",
										[sp_STATUS_CREATED] = "created",
										[sp_STATUS_PROCESSING] = "processing",
										[sp_STATUS_REQUIRES_ACTION] = "requires_action",
										[sp_STATUS_AUTHORIZED] = "authorized",
										[sp_STATUS_PARTIALLY_CAPTURED] = "partially_captured",
										[sp_STATUS_CAPTURED] = "captured",
										[sp_STATUS_PARTIALLY_REFUNDED] = "partially_refunded",
										[sp_STATUS_REFUNDED] = "refunded",
										[sp_STATUS_SETTLED] = "settled",
										[sp_STATUS_VOIDED] = "voided",
										[sp_STATUS_EXPIRED] = "expired",
										[sp_STATUS_DECLINED] = "declined",
										[sp_STATUS_FAILED] = "failed",
										[sp_STATUS_UNKNOWN] = "unknown",
										[sp_STATUS_REVERSED] = "reversed",
										[sp_STATUS_NEEDS_REVIEW] = "needs_review"};
	return NAME(names, s);
}

const char *
payment_operation_status_name(sp_operation_status s)
{
	static const char *const names[] = {
		[sp_OP_PENDING] = "pending", [sp_OP_SUCCEEDED] = "succeeded", [sp_OP_DECLINED] = "declined",
		[sp_OP_FAILED] = "failed",   [sp_OP_UNKNOWN] = "unknown",     [sp_OP_NEEDS_REVIEW] = "needs_review"};
	return NAME(names, s);
}

const char *
payment_operation_kind_name(sp_operation_kind k)
{
	static const char *const names[] = {[sp_KIND_AUTHORIZE] = "authorize",
										[sp_KIND_CAPTURE] = "capture",
										[sp_KIND_VOID] = "void",
										[sp_KIND_REFUND] = "refund",
										[sp_KIND_INCREMENT] = "increment"};
	return NAME(names, k);
}

const char *
payment_command_name(enum payment_command_kind k)
{
	static const char *const names[] = {
#define TRANSITION(command, from, what) [PAYMENT_##command] = #command,
#include "policy/transition.def"
#undef TRANSITION
	};
	return NAME(names, k);
}

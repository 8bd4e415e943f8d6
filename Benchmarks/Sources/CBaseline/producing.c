#include "baseline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIPELINE = 256 };

// The same as in Order.swift. It is as long as current ids, since each message carries its id over the wire.
static const long long FIRST_ID = 1700000000000;

static const char *const ITEM = "an-item-of-forty-characters-0123456789ab";
static const char *const PAYLOAD = "a-payload-of-sixty-two-characters-0123456789abcdefghijklmnopqr";

/// A payload of this size: the text above, or as many letters.
static char *make_payload(int size) {
    if (size == (int)strlen(PAYLOAD)) return strdup(PAYLOAD);
    char *payload = malloc((size_t)size + 1);
    if (payload == NULL) fail("producing", "out of memory");
    memset(payload, 'p', (size_t)size);
    payload[size] = 0;
    return payload;
}

/// Sends pipelines of XADD. The server makes the ids, or they are made from the numbers, so that a message can be found
/// by its number.
static Tally add(redisContext *redis, const Order *order, int numbers_are_ids) {
    Tally tally = {0};
    char id[32] = "*";
    char *payload = make_payload(order->payload);
    while (tally.messages < order->messages) {
        long long rest = order->messages - tally.messages;
        long long count = rest < PIPELINE ? rest : PIPELINE;
        for (long long i = 1; i <= count; i++) {
            if (numbers_are_ids) snprintf(id, sizeof id, "%lld-0", FIRST_ID + tally.messages + i);
            redisAppendCommand(
                redis, "XADD %s %s number %lld item %s payload %s", order->stream, id, tally.messages + i, ITEM,
                payload);
        }
        for (long long i = 0; i < count; i++) {
            void *reply = NULL;
            if (redisGetReply(redis, &reply) != REDIS_OK) fail("XADD", redis->errstr);
            if (strchr(checked(redis, reply)->str, '-') == NULL) fail("XADD", "the reply is not an id");
            freeReplyObject(reply);
        }
        tally.messages += count;
    }
    free(payload);
    return tally;
}

Tally produce(redisContext *redis, const Order *order) { return add(redis, order, 0); }

Tally fill(redisContext *redis, const Order *order) { return add(redis, order, 1); }

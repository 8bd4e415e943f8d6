// The time from an XADD to the handler: one process sends, another one, in C or Swift, reads.

#include "baseline.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t *latencies;
static long long latency_count;

void print_latencies(void) {
    if (latency_count == 0) return;
    printf(", \"latencies\": [");
    for (long long i = 0; i < latency_count; i++) printf("%s%lld", i == 0 ? "" : ", ", (long long)latencies[i]);
    printf("]");
}

static void acknowledge(redisContext *redis, const Order *order, const redisReply *entry) {
    redisReply *reply = checked(
        redis, redisCommand(redis, "XACK %s bench %s", order->stream, entry->element[0]->str));
    if (reply->integer != 1) fail("XACK", "the message was not pending");
    freeReplyObject(reply);
}

Tally latency_read(redisContext *redis, const Order *order) {
    Tally tally = {0};
    latencies = calloc((size_t)order->messages, sizeof *latencies);
    if (latencies == NULL) fail("reading", "out of memory");
    while (tally.messages < order->messages) {
        redisReply *reply = checked(
            redis,
            redisCommand(
                redis, "XREADGROUP GROUP bench c COUNT %d BLOCK 1000 STREAMS %s >", order->batch, order->stream));
        redisReply *entries = entries_of(reply);
        for (size_t i = 0; entries != NULL && i < entries->elements; i++) {
            const redisReply *entry = entries->element[i];
            int64_t sent = (int64_t)number_of(entry->element[1]->element[3]);
            if (latency_count < order->messages) latencies[latency_count++] = nanoseconds_now() - sent;
            count_entry(&tally, entry);
            acknowledge(redis, order, entry);
        }
        freeReplyObject(reply);
    }
    return tally;
}

Tally latency_send(redisContext *redis, const Order *order) {
    Tally tally = {0};
    unsigned seed = 1;
    while (tally.messages < order->messages) {
        // 1 to 2 ms: by then the reader is blocked again. Random, so that no timer runs in step with it.
        struct timespec pause = {0, 1000000 + rand_r(&seed) % 1000000};
        nanosleep(&pause, NULL);
        redisReply *reply = checked(
            redis,
            redisCommand(
                redis, "XADD %s * number %lld sent %lld", order->stream, tally.messages + 1,
                (long long)nanoseconds_now()));
        freeReplyObject(reply);
        tally.messages++;
    }
    return tally;
}

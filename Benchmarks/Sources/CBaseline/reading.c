#include "baseline.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Tally fan_out(redisContext *redis, const Order *order) {
    Tally tally = {0};
    char last[64] = "0";
    while (tally.messages < order->messages) {
        redisReply *reply = checked(
            redis, redisCommand(redis, "XREAD COUNT %d STREAMS %s %s", order->batch, order->stream, last));
        redisReply *entries = entries_of(reply);
        if (entries == NULL) fail("reading", "there are fewer messages than expected");
        for (size_t i = 0; i < entries->elements; i++) count_entry(&tally, entries->element[i]);
        snprintf(last, sizeof last, "%s", entries->element[entries->elements - 1]->element[0]->str);
        freeReplyObject(reply);
    }
    return tally;
}

/// Reads and acknowledges batches until `messages` have been read, or none is left.
static Tally consume(redisContext *redis, const Order *order, const char *consumer, long long messages) {
    Tally tally = {0};
    size_t size = 3 + (size_t)order->batch;
    const char **arguments = calloc(size, sizeof *arguments);
    size_t *lengths = calloc(size, sizeof *lengths);
    if (arguments == NULL || lengths == NULL) fail("reading", "out of memory");
    const char *command[] = {"XACK", order->stream, "bench"};
    for (size_t i = 0; i < 3; i++) lengths[i] = strlen(arguments[i] = command[i]);
    while (tally.messages < messages) {
        redisReply *reply = checked(
            redis,
            redisCommand(redis, "XREADGROUP GROUP bench %s COUNT %d STREAMS %s >", consumer, order->batch, order->stream));
        redisReply *entries = entries_of(reply);
        if (entries == NULL) {
            freeReplyObject(reply);
            break;
        }
        for (size_t i = 0; i < entries->elements; i++) {
            redisReply *entry = entries->element[i];
            count_entry(&tally, entry);
            arguments[3 + i] = entry->element[0]->str;
            lengths[3 + i] = entry->element[0]->len;
        }
        redisReply *acknowledged = checked(
            redis, redisCommandArgv(redis, 3 + (int)entries->elements, arguments, lengths));
        if (acknowledged->integer != (long long)entries->elements) fail("XACK", "not everything was pending");
        freeReplyObject(acknowledged);
        freeReplyObject(reply);
    }
    free(arguments);
    free(lengths);
    return tally;
}

Tally group(redisContext *redis, const Order *order) {
    return consume(redis, order, "c", order->messages);
}

/// One of several consumers, with its own thread and connection.
typedef struct {
    pthread_t thread;
    const Order *order;
    redisContext *redis;
    char name[16];
    Tally tally;
} Member;

static void *run_member(void *argument) {
    Member *member = argument;
    member->tally = consume(member->redis, member->order, member->name, member->order->messages);
    return NULL;
}

Tally groups(const Order *order) {
    Tally tally = {0};
    Member *members = calloc((size_t)order->consumers, sizeof *members);
    if (members == NULL) fail("reading", "out of memory");
    for (int i = 0; i < order->consumers; i++) {
        members[i].order = order;
        members[i].redis = connect_to(order->url);
        snprintf(members[i].name, sizeof members[i].name, "c%d", i);
    }
    for (int i = 0; i < order->consumers; i++)
        if (pthread_create(&members[i].thread, NULL, run_member, &members[i]) != 0) fail("a thread", "not started");
    for (int i = 0; i < order->consumers; i++) {
        pthread_join(members[i].thread, NULL);
        tally.messages += members[i].tally.messages;
        tally.bytes += members[i].tally.bytes;
        tally.checksum += members[i].tally.checksum;
        redisFree(members[i].redis);
    }
    free(members);
    return tally;
}

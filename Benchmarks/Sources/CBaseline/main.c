// The loops that a C programmer writes with hiredis: the yardstick of the benchmark.
//
//     REDIS_URL=redis://host:port CBaseline (fan-out | group | produce) STREAM MESSAGES SECONDS
//
// Prints what it did and what that cost from the moment it was connected, as one line of JSON. Ends with SIGALRM if it
// has not done after SECONDS.

#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 500, PIPELINE = 256 };

static const char *const ITEM = "an-item-of-forty-characters-0123456789ab";
static const char *const PAYLOAD = "a-payload-of-sixty-two-characters-0123456789abcdefghijklmnopqr";

static void fail(const char *what, const char *why) {
    fprintf(stderr, "CBaseline: %s: %s\n", what, why);
    exit(1);
}

// What was seen: the same as Tally.swift.
static struct {
    long long messages;
    long long bytes;
    uint64_t checksum;
} tally;

static void count_number(uint64_t number) {
    uint64_t mixed = number * UINT64_C(0x9E3779B97F4A7C15);
    tally.checksum += mixed ^ (mixed >> 32);
}

/// Walks every field of the entry `[id, [name, value, …]]`.
static void count_entry(const redisReply *entry) {
    const redisReply *fields = entry->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *value = fields->element[i + 1];
        tally.bytes += (long long)value->len;
        if (i == 0) {
            uint64_t number = 0;
            for (size_t j = 0; j < value->len; j++) number = number * 10 + (uint64_t)(value->str[j] - '0');
            count_number(number);
        }
    }
    tally.messages++;
}

static redisContext *connect_to(const char *url) {
    char host[256];
    int port = 6379;
    redisContext *redis;
    if (strncmp(url, "unix://", 7) == 0) {
        redis = redisConnectUnix(url + 7);
    } else {
        if (strchr(url, '@') != NULL || sscanf(url, "redis://%255[^:/]:%d", host, &port) < 1)
            fail("REDIS_URL", "the C baseline takes redis://host:port or unix:///path only");
        redis = redisConnect(host, port);
    }
    if (redis == NULL) fail("connecting", "out of memory");
    if (redis->err) fail("connecting", redis->errstr);
    return redis;
}

/// The reply, if it is one and no error.
static redisReply *checked(redisContext *redis, void *reply) {
    redisReply *checked = reply;
    if (checked == NULL) fail("no reply", redis->errstr);
    if (checked->type == REDIS_REPLY_ERROR) fail("the server", checked->str);
    return checked;
}

/// The entries in `[[stream, entries]]`.
static redisReply *entries_of(redisReply *reply) {
    if (reply->type == REDIS_REPLY_NIL) fail("reading", "there are fewer messages than expected");
    return reply->element[0]->element[1];
}

static void fan_out(redisContext *redis, const char *stream, long long messages) {
    char last[64] = "0";
    while (tally.messages < messages) {
        redisReply *reply = checked(redis, redisCommand(redis, "XREAD COUNT %d STREAMS %s %s", BATCH, stream, last));
        redisReply *entries = entries_of(reply);
        for (size_t i = 0; i < entries->elements; i++) count_entry(entries->element[i]);
        snprintf(last, sizeof last, "%s", entries->element[entries->elements - 1]->element[0]->str);
        freeReplyObject(reply);
    }
}

static void group(redisContext *redis, const char *stream, long long messages) {
    const char *arguments[3 + BATCH] = {"XACK", stream, "bench"};
    size_t lengths[3 + BATCH] = {4, strlen(stream), 5};
    while (tally.messages < messages) {
        redisReply *reply = checked(
            redis, redisCommand(redis, "XREADGROUP GROUP bench c COUNT %d STREAMS %s >", BATCH, stream));
        redisReply *entries = entries_of(reply);
        for (size_t i = 0; i < entries->elements; i++) {
            redisReply *entry = entries->element[i];
            count_entry(entry);
            arguments[3 + i] = entry->element[0]->str;
            lengths[3 + i] = entry->element[0]->len;
        }
        redisReply *acknowledged = checked(
            redis, redisCommandArgv(redis, 3 + (int)entries->elements, arguments, lengths));
        if (acknowledged->integer != (long long)entries->elements) fail("XACK", "not everything was pending");
        freeReplyObject(acknowledged);
        freeReplyObject(reply);
    }
}

static void produce(redisContext *redis, const char *stream, long long messages) {
    while (tally.messages < messages) {
        long long count = messages - tally.messages < PIPELINE ? messages - tally.messages : PIPELINE;
        for (long long i = 1; i <= count; i++)
            redisAppendCommand(
                redis, "XADD %s * number %lld item %s payload %s", stream, tally.messages + i, ITEM, PAYLOAD);
        for (long long i = 0; i < count; i++) {
            void *reply = NULL;
            if (redisGetReply(redis, &reply) != REDIS_OK) fail("XADD", redis->errstr);
            if (strchr(checked(redis, reply)->str, '-') == NULL) fail("XADD", "the reply is not an id");
            freeReplyObject(reply);
        }
        tally.messages += count;
    }
}

static double seconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **arguments) {
    const char *url = getenv("REDIS_URL");
    if (count != 5 || url == NULL) fail("usage", "CBaseline (fan-out | group | produce) STREAM MESSAGES SECONDS");
    const char *mode = arguments[1];
    const char *stream = arguments[2];
    long long messages = atoll(arguments[3]);
    alarm((unsigned)atoi(arguments[4]));

    redisContext *redis = connect_to(url);
    double start = seconds_now();
    double cpu_start = cpu_seconds();
    if (strcmp(mode, "fan-out") == 0) fan_out(redis, stream, messages);
    else if (strcmp(mode, "group") == 0) group(redis, stream, messages);
    else if (strcmp(mode, "produce") == 0) produce(redis, stream, messages);
    else fail("no such mode", mode);
    double seconds = seconds_now() - start;
    double cpu = cpu_seconds() - cpu_start;

    printf(
        "{\"seconds\": %.6f, \"cpuSeconds\": %.6f, \"messages\": %lld, \"bytes\": %lld, \"checksum\": \"%llu\"}\n",
        seconds, cpu, tally.messages, tally.bytes, (unsigned long long)tally.checksum);
    redisFree(redis);
    return 0;
}

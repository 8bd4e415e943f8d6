#include "baseline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void fail(const char *what, const char *why) {
    fprintf(stderr, "CBaseline: %s: %s\n", what, why);
    exit(1);
}

redisContext *connect_to(const char *url) {
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

redisReply *checked(redisContext *redis, void *reply) {
    redisReply *checked = reply;
    if (checked == NULL) fail("no reply", redis->errstr);
    if (checked->type == REDIS_REPLY_ERROR) fail("the server", checked->str);
    return checked;
}

redisReply *entries_of(redisReply *reply) {
    return reply->type == REDIS_REPLY_NIL ? NULL : reply->element[0]->element[1];
}

uint64_t number_of(const redisReply *value) {
    uint64_t number = 0;
    for (size_t i = 0; i < value->len; i++) number = number * 10 + (uint64_t)(value->str[i] - '0');
    return number;
}

uint64_t count_entry(Tally *tally, const redisReply *entry) {
    const redisReply *fields = entry->element[1];
    uint64_t number = 0;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *value = fields->element[i + 1];
        tally->bytes += (long long)value->len;
        if (i == 0) number = number_of(value);
    }
    uint64_t mixed = number * UINT64_C(0x9E3779B97F4A7C15);
    tally->checksum += mixed ^ (mixed >> 32);
    tally->messages++;
    return number;
}

int64_t nanoseconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

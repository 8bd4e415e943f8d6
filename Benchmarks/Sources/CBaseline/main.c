// The loops that a C programmer writes with hiredis: the baseline of the benchmark.
//
//     REDIS_URL=redis://host:port CBaseline MODE STREAM MESSAGES SECONDS [COUNT [PAYLOAD [CONSUMERS]]]
//
// Prints one line of JSON: what it did, and the time and CPU time since it was connected. SIGALRM ends it if it is not
// done after SECONDS.

#include "baseline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const USAGE =
    "CBaseline (fan-out | group | produce | fill | latency-read | latency-send) STREAM MESSAGES SECONDS"
    " [COUNT [PAYLOAD [CONSUMERS]]]";

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static Tally run(redisContext *redis, const Order *order) {
    const char *mode = order->mode;
    if (strcmp(mode, "fan-out") == 0) return fan_out(redis, order);
    if (strcmp(mode, "group") == 0) return order->consumers == 1 ? group(redis, order) : groups(order);
    if (strcmp(mode, "produce") == 0) return produce(redis, order);
    if (strcmp(mode, "fill") == 0) return fill(redis, order);
    if (strcmp(mode, "latency-read") == 0) return latency_read(redis, order);
    if (strcmp(mode, "latency-send") == 0) return latency_send(redis, order);
    fail("no such mode", mode);
    return (Tally){0};
}

int main(int count, char **arguments) {
    if (count < 5 || count > 8 || getenv("REDIS_URL") == NULL) fail("usage", USAGE);
    Order order = {
        .url = getenv("REDIS_URL"),
        .mode = arguments[1],
        .stream = arguments[2],
        .messages = atoll(arguments[3]),
        .batch = count > 5 ? atoi(arguments[5]) : 500,
        .payload = count > 6 ? atoi(arguments[6]) : 62,
        .consumers = count > 7 ? atoi(arguments[7]) : 1,
    };
    if (order.messages < 1 || order.batch < 1 || order.payload < 1 || order.consumers < 1) fail("usage", USAGE);
    alarm((unsigned)atoi(arguments[4]));

    redisContext *redis = connect_to(order.url);
    int64_t start = nanoseconds_now();
    double cpu_start = cpu_seconds();
    Tally tally = run(redis, &order);
    double seconds = (double)(nanoseconds_now() - start) / 1e9;
    double cpu = cpu_seconds() - cpu_start;

    printf(
        "{\"seconds\": %.6f, \"cpuSeconds\": %.6f, \"messages\": %lld, \"bytes\": %lld, \"checksum\": \"%llu\"",
        seconds, cpu, tally.messages, tally.bytes, (unsigned long long)tally.checksum);
    print_latencies();
    printf("}\n");
    redisFree(redis);
    return 0;
}

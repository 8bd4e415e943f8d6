// The plain C side of the benchmark: declarations that its loops share.

#ifndef BASELINE_H
#define BASELINE_H

#include <hiredis/hiredis.h>
#include <stdint.h>

/// The work of a run: the arguments of the program.
typedef struct {
    const char *url;
    const char *mode;
    const char *stream;
    long long messages;
    int batch;
    int payload;
    int consumers;
} Order;

/// A summary of the messages that came, the same as in Tally.swift.
typedef struct {
    long long messages;
    long long bytes;
    uint64_t checksum;
} Tally;

/// Prints an error and ends the program.
void fail(const char *what, const char *why);

redisContext *connect_to(const char *url);

/// Returns the reply. Ends the program if there is none, or if it is an error.
redisReply *checked(redisContext *redis, void *reply);

/// The entries in `[[stream, entries]]`; NULL if nothing was read.
redisReply *entries_of(redisReply *reply);

/// Counts the entry `[id, [name, value, …]]`, and returns its number.
uint64_t count_entry(Tally *tally, const redisReply *entry);

uint64_t number_of(const redisReply *value);

/// CLOCK_MONOTONIC, which all processes of a machine share.
int64_t nanoseconds_now(void);

// The loops.
Tally fan_out(redisContext *redis, const Order *order);
Tally group(redisContext *redis, const Order *order);
Tally groups(const Order *order);
Tally produce(redisContext *redis, const Order *order);
Tally fill(redisContext *redis, const Order *order);
Tally latency_read(redisContext *redis, const Order *order);
Tally latency_send(redisContext *redis, const Order *order);

/// Prints the times that `latency_read` has measured, as a field of a JSON object.
void print_latencies(void);

#endif

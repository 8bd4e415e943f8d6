// The only code that uses hiredis.
//
// hiredis's `redisReader` works as an event parser here: it walks the RESP2 bytes and calls back for every value, and
// the callbacks pass the value to a sink instead of building hiredis's tree of replies. This file hides the struct
// layouts and signatures that differ between hiredis 0.14 (Debian 12, Ubuntu 22.04) and 1.x: Swift sees only what this
// file declares.
#ifndef REDIS_STREAMS_CHIREDIS_SHIM_H
#define REDIS_STREAMS_CHIREDIS_SHIM_H

#include <hiredis/hiredis.h>
#include <hiredis/read.h>
#include <stddef.h>
#include <string.h>

#if HIREDIS_MAJOR >= 1
typedef size_t rs_array_count;
#else
typedef int rs_array_count;
#endif

/// Receives the values of a reply in the order of the bytes. Each function returns 1 to continue, or 0 to refuse the
/// reply, which makes the reader fail.
typedef struct rs_sink {
    void *context;
    /// A bulk string (`REDIS_REPLY_STRING`), a simple string (`REDIS_REPLY_STATUS`) or an error (`REDIS_REPLY_ERROR`).
    int (*string)(void *context, int type, const char *bytes, size_t length);
    /// `depth` counts the arrays around this one, 0 for an outermost array.
    int (*array)(void *context, long long count, int depth);
    int (*integer)(void *context, long long value);
    int (*nil)(void *context);
} rs_sink;

// hiredis takes any non-null pointer for the object that was created.
static inline void *rs_token(int accepted) {
    static char token;
    return accepted ? &token : NULL;
}

static inline const rs_sink *rs_task_sink(const redisReadTask *task) {
    return (const rs_sink *)task->privdata;
}

static inline void *rs_create_string(const redisReadTask *task, char *bytes, size_t length) {
    const rs_sink *sink = rs_task_sink(task);
    // hiredis 0.14 skips the two bytes after a bulk string without checking them. They are in its buffer, since it
    // calls back only after the terminator has arrived. If they are wrong, `string` gets a type of 0.
    if (task->type == REDIS_REPLY_STRING && (bytes[length] != '\r' || bytes[length + 1] != '\n'))
        return rs_token(sink->string(sink->context, 0, bytes, 0));
    return rs_token(sink->string(sink->context, task->type, bytes, length));
}

static inline void *rs_create_array(const redisReadTask *task, rs_array_count count) {
    const rs_sink *sink = rs_task_sink(task);
    int depth = 0;
    for (const redisReadTask *parent = task->parent; parent != NULL; parent = parent->parent) depth++;
    // hiredis 1.x also parses RESP3 aggregates, which a RESP2 connection must never accept.
    if (task->type != REDIS_REPLY_ARRAY) return rs_token(sink->array(sink->context, -1, depth));
    return rs_token(sink->array(sink->context, (long long)count, depth));
}

static inline void *rs_create_integer(const redisReadTask *task, long long value) {
    const rs_sink *sink = rs_task_sink(task);
    return rs_token(sink->integer(sink->context, value));
}

static inline void *rs_create_nil(const redisReadTask *task) {
    const rs_sink *sink = rs_task_sink(task);
    return rs_token(sink->nil(sink->context));
}

#if HIREDIS_MAJOR >= 1
static inline void *rs_refuse_double(const redisReadTask *task, double value, char *bytes, size_t length) {
    (void)value;
    (void)bytes;
    (void)length;
    const rs_sink *sink = rs_task_sink(task);
    return rs_token(sink->array(sink->context, -1, 0));
}

static inline void *rs_refuse_bool(const redisReadTask *task, int value) {
    (void)value;
    const rs_sink *sink = rs_task_sink(task);
    return rs_token(sink->array(sink->context, -1, 0));
}
#endif

static inline void rs_free_object(void *object) {
    (void)object;
}

/// Creates a reader that passes every value to `sink`, which must outlive it. Returns NULL when out of memory.
static inline redisReader *rs_reader_create(rs_sink *sink) {
    static redisReplyObjectFunctions functions = {
        .createString = rs_create_string,
        .createArray = rs_create_array,
        .createInteger = rs_create_integer,
#if HIREDIS_MAJOR >= 1
        .createDouble = rs_refuse_double,
        .createBool = rs_refuse_bool,
#endif
        .createNil = rs_create_nil,
        .freeObject = rs_free_object,
    };
    redisReader *reader = redisReaderCreateWithFunctions(&functions);
    if (reader == NULL) return NULL;
    reader->privdata = sink;
    // Keeps the buffer between replies: hiredis would free it each time it has been emptied.
    reader->maxbuf = 0;
    return reader;
}

static inline void rs_reader_free(redisReader *reader) {
    redisReaderFree(reader);
}

static inline int rs_reader_feed(redisReader *reader, const char *bytes, size_t length) {
    return redisReaderFeed(reader, bytes, length);
}

/// Parses the next bytes. Returns 1 when one whole reply has gone to the sink, 0 when more bytes are needed, -1 on a
/// protocol error.
static inline int rs_reader_advance(redisReader *reader) {
    void *reply = NULL;
    if (redisReaderGetReply(reader, &reply) != REDIS_OK) return -1;
    return reply != NULL;
}

/// Returns how many bytes were fed and not yet parsed.
static inline size_t rs_reader_unparsed(const redisReader *reader) {
    return reader->len - reader->pos;
}

/// Returns the length of the bulk string that the reader waits for, as its header announces it; -1 if the reader waits
/// for the end of a line.
static inline long long rs_reader_announced(const redisReader *reader) {
    const size_t longest_header = 32;
    size_t unparsed = rs_reader_unparsed(reader);
    // The reader has consumed the type byte already, and keeps the type in the task.
#if HIREDIS_MAJOR >= 1
    int type = reader->ridx < 0 ? -1 : reader->task[reader->ridx]->type;
#else
    int type = reader->ridx < 0 ? -1 : reader->rstack[reader->ridx].type;
#endif
    if (type != REDIS_REPLY_STRING) return -1;
    const char *next = reader->buf + reader->pos;
    // hiredis has checked headers that have arrived in whole. The value of an incomplete header is not used.
    unsigned long long length = 0;
    for (size_t i = 0; i + 1 < unparsed && i < longest_header; i++) {
        if (next[i] == '\r') return next[i + 1] == '\n' ? (long long)length : -1;
        length = length * 10 + (unsigned long long)(next[i] - '0');
    }
    return -1;
}

static inline const char *rs_reader_error(const redisReader *reader) {
    return reader->errstr;
}

#endif

// Tells the thread sanitizer of what it cannot see: what orders threads in Swift's libraries, which are not built with it.
// Loaded before them, these functions stand before those of the same names.
//
// A mutex: its fast paths are in the code that uses it, its slow ones are not.
// A continuation that is resumed before its task has come to wait for it: the runtime tells of all others itself.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define SWIFT_ASYNC __attribute__((swiftasynccall))
#define SELF __attribute__((swift_context)) void *self

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// Only there in a program that is built for the sanitizer.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);
__attribute__((weak)) SWIFT void *swift_task_getCurrent(void);

static void acquire(void *address) {
    if (__tsan_acquire) __tsan_acquire(address);
}

static void release(void *address) {
    if (__tsan_release) __tsan_release(address);
}

SWIFT void lock(uint32_t thread, SELF) __asm__(LOCK);
SWIFT void lock(uint32_t thread, SELF) {
    ((SWIFT void (*)(uint32_t, SELF))dlsym(RTLD_NEXT, LOCK))(thread, self);
    acquire(self);
}

SWIFT void unlock(SELF) __asm__(UNLOCK);
SWIFT void unlock(SELF) {
    release(self);
    ((SWIFT void (*)(SELF))dlsym(RTLD_NEXT, UNLOCK))(self);
}

SWIFT void swift_continuation_resume(void *task) {
    release(task);
    ((SWIFT void (*)(void *))dlsym(RTLD_NEXT, "swift_continuation_resume"))(task);
}

SWIFT_ASYNC void swift_continuation_await(void *context) {
    acquire(swift_task_getCurrent());
    SWIFT_ASYNC void (*next)(void *) = (SWIFT_ASYNC void (*)(void *))dlsym(RTLD_NEXT, "swift_continuation_await");
    __attribute__((musttail)) return next(context);
}

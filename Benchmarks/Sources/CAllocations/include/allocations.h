#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <stdbool.h>

/// Whether this process counts: only with glibc, whose allocator has a second name.
bool allocations_are_counted(void);

/// The number of allocations so far.
long allocation_count(void);

#endif

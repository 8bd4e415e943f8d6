#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <stdbool.h>

/// Whether this process counts: with glibc only, whose allocator can be reached under another name.
bool allocations_are_counted(void);

/// How often memory was asked for until now.
long allocation_count(void);

#endif

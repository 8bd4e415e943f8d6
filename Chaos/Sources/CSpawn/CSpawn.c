#define _GNU_SOURCE
#include "CSpawn.h"

int chaos_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
#ifdef __linux__
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
#else
    return 0;
#endif
}

#include <spawn.h>

/// Has a child begin with no file open from `first` on. Swift does not see the function of glibc that does so.
int chaos_spawn_close_from(posix_spawn_file_actions_t *actions, int first);

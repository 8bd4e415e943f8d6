#include <spawn.h>

/// Closes all files from `first` on in the child. Swift does not import the function of glibc that does so.
int chaos_spawn_close_from(posix_spawn_file_actions_t *actions, int first);

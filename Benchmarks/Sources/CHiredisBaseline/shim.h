// hiredis as it is, for the C baseline.
#include <hiredis/hiredis.h>

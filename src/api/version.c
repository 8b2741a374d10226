// The library's own version: the one public call that needs neither a machine nor a task.
#include "shale/version.h"

const char *shale_version(void)
{
	return SHALE_VERSION;
}

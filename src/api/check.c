// Checking volumes.
#include "api/api_internal.h"
#include "vfs/super.h"

struct check_call {
	shale_check_fn report;
	void *arg;
};

static int pass_on(void *arg, const struct fs_problem *p)
{
	const struct check_call *call = arg;
	struct shale_problem problem = {
		.code = p->code,
		.text = p->text,
		.severity = p->damage     ? SHALE_PROBLEM_DAMAGE
			    : p->progress ? SHALE_PROBLEM_PROGRESS
					  : SHALE_PROBLEM_NOTE,
		.group = p->group,
		.inode = p->inode,
		.block = p->block,
	};

	return call->report ? call->report(call->arg, &problem) : 0;
}

int shale_check(struct shale_task *task, const char *source, const char *fstype, const char *data,
		unsigned flags, shale_check_fn report, void *arg)
{
	struct check_call call = {.report = report, .arg = arg};
	struct fs_check check = {.report = pass_on, .arg = &call, .progress = flags & SHALE_CHECK_PROGRESS};

	if (!source)
		return -EFAULT;
	if (flags & ~SHALE_CHECK_PROGRESS)
		return -EINVAL;
	return (int)api_call(task, do_check(source, fstype ? fstype : "ext4", data, &check));
}

/* SPDX-License-Identifier: MIT */
/*
 * Parsing, listing and asking of fault rules (fault_internal.h). One spinlock guards the list, and the counts
 * in it. A random number is drawn only where a rule with prob below 1 could apply, so adding a rule elsewhere
 * on the disk does not change a run that repeats by seed.
 */
#include "drivers/fault_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/errname.h"
#include "base/machine.h"
#include "base/parser.h"
#include "base/seq_file.h"
#include "drivers/filter_internal.h"

#define PROB_DIGITS 9
#define PROB_ONE    1000000000u /* probabilities are in billionths */
#define MAX_ERRNAME 133

struct fault_rule {
	struct list_head entry;
	unsigned id;
	u32 ops; /* bits of enum req_op */
	bool has_range;
	sector_t start, end; /* both included */
	u32 prob;
	u64 skip, count; /* as given; count 0: no limit */
	u64 met, hits;   /* requests that met it; those it was applied to */
	struct fault fault;
};

static const struct {
	const char *name;
	enum req_op op;
} op_names[] = {
	{"read", REQ_OP_READ},       {"write", REQ_OP_WRITE},         {"flush", REQ_OP_FLUSH},
	{"discard", REQ_OP_DISCARD}, {"zeroes", REQ_OP_WRITE_ZEROES},
};
#define ALL_OPS                                                                                              \
	(1u << REQ_OP_READ | 1u << REQ_OP_WRITE | 1u << REQ_OP_FLUSH | 1u << REQ_OP_DISCARD |                \
	 1u << REQ_OP_WRITE_ZEROES)

static int parse_ops(char *text, u32 *ops)
{
	char *word;

	*ops = 0;
	while ((word = strsep(&text, "|"))) {
		u32 found = strcmp(word, "all") ? 0 : ALL_OPS;

		for (unsigned i = 0; i < ARRAY_SIZE(op_names); i++)
			if (!strcmp(word, op_names[i].name))
				found = 1u << op_names[i].op;
		if (!found)
			return -EINVAL;
		*ops |= found;
	}
	return 0;
}

/* "1", "0.25", ".5": at most nine digits behind the point. */
static int parse_prob(const char *text, u32 *prob)
{
	u32 value = 0, weight = PROB_ONE;

	if (*text == '1')
		value = PROB_ONE;
	if (*text == '0' || *text == '1')
		text++;
	if (*text == '.')
		for (text++; *text >= '0' && *text <= '9' && weight > 1; text++)
			value += (*text - '0') * (weight /= 10);
	if (*text || value > PROB_ONE)
		return -EINVAL;
	*prob = value;
	return 0;
}

static int parse_error(const char *text, int *error)
{
	for (int err = 1; err <= MAX_ERRNAME; err++) {
		if (strcmp(text, errname(err)))
			continue;
		*error = -err;
		return 0;
	}
	return -EINVAL;
}

static int parse_word(struct fault_rule *rule, const char *key, char *value)
{
	struct fault *fault = &rule->fault;

	if (!strcmp(key, "op"))
		return parse_ops(value, &rule->ops);
	if (!strcmp(key, "prob"))
		return parse_prob(value, &rule->prob);
	if (!strcmp(key, "error"))
		return parse_error(value, &fault->error);
	if (!strcmp(key, "delay"))
		return filter_parse_time(value, &fault->delay_ns);
	if (!strcmp(key, "torn"))
		return kstrtoll(value, 0, &fault->torn) || fault->torn < 0 ? -EINVAL : 0;
	if (!strcmp(key, "shift"))
		return kstrtoll(value, 0, &fault->shift);
	if (!strcmp(key, "skip"))
		return kstrtoull(value, 0, &rule->skip);
	if (!strcmp(key, "count"))
		return kstrtoull(value, 0, &rule->count);
	rule->has_range = true;
	if (!strcmp(key, "start"))
		return kstrtoull(value, 0, &rule->start);
	if (!strcmp(key, "end"))
		return kstrtoull(value, 0, &rule->end);
	return -EINVAL;
}

int fault_rules_add(struct fault_rules *rules, char *words)
{
	struct fault_rule *rule __free_kfree = kzalloc(rules->machine, sizeof(*rule));
	char *word, *value;

	if (!rule)
		return -ENOMEM;
	rule->ops = ALL_OPS;
	rule->end = UINT64_MAX;
	rule->prob = PROB_ONE;
	rule->fault.torn = -1;
	while ((word = strsep(&words, " \t\n"))) {
		if (!*word)
			continue;
		value = strchr(word, '=');
		if (!value)
			return -EINVAL;
		*value++ = '\0';
		if (parse_word(rule, word, value))
			return -EINVAL;
	}
	if (rule->start > rule->end)
		return -EINVAL;
	spin_lock(&rules->lock);
	rule->id = ++rules->last_id;
	list_add_tail(&rule->entry, &rules->list);
	spin_unlock(&rules->lock);
	no_free_ptr(rule);
	return 0;
}

static int fault_rules_del(struct fault_rules *rules, const char *text)
{
	struct fault_rule *rule, *found = NULL;
	unsigned id;
	int err = kstrtouint(text, 10, &id);

	if (err)
		return err;
	spin_lock(&rules->lock);
	list_for_each_entry (rule, &rules->list, entry)
		if (rule->id == id)
			found = rule;
	if (found)
		list_del(&found->entry);
	spin_unlock(&rules->lock);
	kfree(found);
	return found ? 0 : -ENOENT;
}

void fault_rules_init(struct shale *machine, struct fault_rules *rules)
{
	rules->machine = machine;
	spin_lock_init(&rules->lock);
	INIT_LIST_HEAD(&rules->list);
	rules->last_id = 0;
}

void fault_rules_clear(struct fault_rules *rules)
{
	struct fault_rule *rule, *next;
	LIST_HEAD(gone);

	spin_lock(&rules->lock);
	list_splice_init(&rules->list, &gone);
	spin_unlock(&rules->lock);
	list_for_each_entry_safe (rule, next, &gone, entry)
		kfree(rule);
}

int fault_rules_store(struct fault_rules *rules, char *words)
{
	char *verb = strim(words), *rest = verb + strcspn(verb, " \t");

	if (*rest)
		*rest++ = '\0';
	if (!strcmp(verb, "add"))
		return fault_rules_add(rules, rest);
	if (!strcmp(verb, "del"))
		return fault_rules_del(rules, skip_spaces(rest));
	if (strcmp(verb, "clear") || *rest)
		return -EINVAL;
	fault_rules_clear(rules);
	return 0;
}

static void show_ops(struct seq_file *m, u32 ops)
{
	const char *between = "";

	if (ops == ALL_OPS)
		between = "all";
	seq_printf(m, "op=%s", between);
	for (unsigned i = 0; ops != ALL_OPS && i < ARRAY_SIZE(op_names); i++) {
		if (!(ops & 1u << op_names[i].op))
			continue;
		seq_printf(m, "%s%s", between, op_names[i].name);
		between = "|";
	}
}

static void show_rule(struct seq_file *m, const struct fault_rule *rule)
{
	const struct fault *fault = &rule->fault;

	seq_printf(m, "%u: ", rule->id);
	show_ops(m, rule->ops);
	if (rule->has_range)
		seq_printf(m, " start=%llu end=%llu", (unsigned long long)rule->start,
			   (unsigned long long)rule->end);
	if (rule->prob != PROB_ONE)
		seq_printf(m, " prob=0.%0*u", PROB_DIGITS, rule->prob);
	if (rule->skip)
		seq_printf(m, " skip=%llu", (unsigned long long)rule->skip);
	if (rule->count)
		seq_printf(m, " count=%llu", (unsigned long long)rule->count);
	if (fault->error)
		seq_printf(m, " error=%s", errname(fault->error));
	if (fault->delay_ns)
		seq_printf(m, " delay=%lld", (long long)fault->delay_ns);
	if (fault->torn >= 0)
		seq_printf(m, " torn=%lld", (long long)fault->torn);
	if (fault->shift)
		seq_printf(m, " shift=%lld", (long long)fault->shift);
	seq_printf(m, " hits=%llu\n", (unsigned long long)rule->hits);
}

void fault_rules_show(struct fault_rules *rules, struct seq_file *m)
{
	struct fault_rule *rule;

	spin_lock(&rules->lock);
	list_for_each_entry (rule, &rules->list, entry)
		show_rule(m, rule);
	spin_unlock(&rules->lock);
}

static bool rule_meets(const struct fault_rule *rule, enum req_op op, sector_t sector, sector_t nr_sectors)
{
	if (!(rule->ops & 1u << op))
		return false;
	if (!rule->has_range)
		return true;
	return nr_sectors && sector <= rule->end && sector + nr_sectors - 1 >= rule->start;
}

/* It meets the request: does it apply this time? */
static bool rule_applies(struct shale *machine, struct fault_rule *rule)
{
	if (rule->count && rule->hits >= rule->count)
		return false;
	if (rule->prob != PROB_ONE && prandom_below(machine, PROB_ONE) >= rule->prob)
		return false;
	if (rule->met++ < rule->skip)
		return false;
	rule->hits++;
	return true;
}

struct fault fault_rules_ask(struct fault_rules *rules, enum req_op op, sector_t sector, sector_t nr_sectors)
{
	struct fault fault = {.torn = -1};
	struct fault_rule *rule;

	spin_lock(&rules->lock);
	list_for_each_entry (rule, &rules->list, entry) {
		if (!rule_meets(rule, op, sector, nr_sectors) || !rule_applies(rules->machine, rule))
			continue;
		fault = rule->fault;
		break;
	}
	spin_unlock(&rules->lock);
	return fault;
}

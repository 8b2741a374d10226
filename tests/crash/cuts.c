/* SPDX-License-Identifier: MIT */
/*
 * The body of cuts.h. `pending` holds the units that were started, in order, from the first one whose fate is
 * open; those before it are in the state for good. A choice says of each optional pending unit whether it is
 * there; the state is made by laying all that are there, chosen or safe, over it in order, and taken back
 * after the visit.
 */
#include "crash/cuts.h"

#include "base/random.h"
#include "crash/hash_set.h"
#include "crash/memory.h"

enum event_kind { EVENT_START, EVENT_FUA_END, EVENT_FLUSH_END, EVENT_MARK };

struct event {
	u64 at;
	enum event_kind kind;
	size_t entry;
};

struct pending {
	size_t entry;
	bool safe, chosen;
};

struct cuts {
	struct state *state;
	const struct record *record;
	struct cut_options options;
	cut_visit_fn visit;
	void *ctx;
	struct cut_counts *counts;
	struct hash_set seen;

	struct event *events;
	size_t nr_events, room_events;
	size_t event; /* the current one */

	struct pending *pending;
	size_t nr_pending, room_pending;
	size_t *open; /* which of them are optional */
	size_t nr_open, room_open;
	bool started; /* a unit, since the last end of an epoch */

	unsigned begun;
	int promised;
	int ret;
};

static int event_compare(const void *one, const void *other)
{
	const struct event *a = one, *b = other;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->entry < b->entry ? -1 : a->entry > b->entry;
}

static void event_add(struct cuts *c, u64 at, enum event_kind kind, size_t entry)
{
	if (c->nr_events == c->room_events)
		c->events = must_grow(c->events, &c->room_events, sizeof(*c->events));
	c->events[c->nr_events++] = (struct event){at, kind, entry};
}

static void events_make(struct cuts *c)
{
	for (size_t i = 0; i < c->record->nr; i++) {
		const struct record_entry *e = &c->record->entries[i];

		if (e->kind == RECORD_WRITE)
			event_add(c, e->started, EVENT_START, i);
		if (e->kind == RECORD_WRITE && e->fua && e->ended)
			event_add(c, e->ended, EVENT_FUA_END, i);
		if (e->kind == RECORD_FLUSH && e->ended)
			event_add(c, e->ended, EVENT_FLUSH_END, i);
		if (e->kind == RECORD_MARK)
			event_add(c, e->started, EVENT_MARK, i);
	}
	if (c->nr_events)
		qsort(c->events, c->nr_events, sizeof(*c->events), event_compare);
}

static const struct record_entry *entry_of(const struct cuts *c, size_t pending)
{
	return &c->record->entries[c->pending[pending].entry];
}

/* Shows the state as it is now to the visitor, unless it was there with a promise as strong. */
static void state_show(struct cuts *c, const char *choice)
{
	char id[80];
	struct hash_slot *slot;
	bool found;

	c->counts->made++;
	slot = hash_set_get(&c->seen, c->state->hash, &found);
	if (found && slot->best >= c->promised)
		return;
	if (!found)
		slot->first = c->begun;
	slot->best = c->promised;
	c->counts->visited++;
	snprintf(id, sizeof(id), "%zu.%s", c->event, choice);
	if (c->options.only && strcmp(c->options.only, id))
		return;
	c->ret = c->visit(c->ctx, c->state,
			  &(struct cut){
				  .id = id,
				  .begun = max(slot->first, (unsigned)(c->promised + 1)),
				  .promised = c->promised,
				  .first = !found,
			  });
}

/* Of the last unit only the sectors [from, to). */
static void choice_show_part(struct cuts *c, const char *choice, u64 from, u64 to)
{
	struct state_mark mark = state_mark(c->state);

	if (c->ret)
		return;
	for (size_t i = 0; i < c->nr_pending; i++) {
		const struct record_entry *e = entry_of(c, i);
		u64 skip = i == c->nr_pending - 1 ? from : 0;
		u64 end = i == c->nr_pending - 1 ? to : e->nr;

		if (c->pending[i].safe || c->pending[i].chosen)
			state_put(c->state, e->sector + skip, end - skip,
				  e->data ? e->data + (skip << SECTOR_SHIFT) : NULL, e->hashes + skip);
	}
	state_show(c, choice);
	state_rollback(c->state, &mark);
}

static void choice_show(struct cuts *c, const char *choice)
{
	choice_show_part(c, choice, 0, c->nr_pending ? entry_of(c, c->nr_pending - 1)->nr : 0);
}

static void choose_all(struct cuts *c, bool chosen)
{
	for (size_t i = 0; i < c->nr_open; i++)
		c->pending[c->open[i]].chosen = chosen;
}

/* Every choice of the optional units; with `last`, those that have the last one. */
static void show_every_choice(struct cuts *c, bool last)
{
	unsigned free = c->nr_open - last;
	char choice[32];

	for (u64 mask = 0; mask < 1ull << free; mask++) {
		for (unsigned i = 0; i < free; i++)
			c->pending[c->open[i]].chosen = mask >> i & 1;
		if (last)
			c->pending[c->open[free]].chosen = true;
		snprintf(choice, sizeof(choice), "x%llx", (unsigned long long)mask);
		choice_show(c, choice);
	}
}

/* All are as `common` says but one or two. */
static void show_but(struct cuts *c, bool common, size_t i, size_t j)
{
	char choice[48];

	choose_all(c, common);
	c->pending[c->open[i]].chosen = !common;
	c->pending[c->open[j]].chosen = !common;
	snprintf(choice, sizeof(choice), "%s%zu,%zu", common ? "without" : "with", i, j);
	choice_show(c, choice);
}

static void show_pairs(struct cuts *c, bool common)
{
	size_t n = c->nr_open, most = c->options.most_pairs;
	u64 rng = c->options.seed ^ c->event;

	if (!most || n * (n + 1) / 2 <= most) {
		for (size_t i = 0; i < n; i++)
			for (size_t j = i; j < n; j++)
				show_but(c, common, i, j);
		return;
	}
	for (size_t k = 0; k < most; k++) {
		size_t i = splitmix64(&rng) % n;

		show_but(c, common, i, splitmix64(&rng) % n);
	}
}

static void show_by_seed(struct cuts *c)
{
	u64 rng = c->options.seed * 31 + c->event;
	char choice[32];

	for (unsigned k = 0; k < c->options.by_seed; k++) {
		unsigned density = splitmix64(&rng) % 255 + 1;

		for (size_t i = 0; i < c->nr_open; i++)
			c->pending[c->open[i]].chosen = splitmix64(&rng) % 256 < density;
		snprintf(choice, sizeof(choice), "seed%u", k);
		choice_show(c, choice);
	}
}

static void open_gather(struct cuts *c)
{
	c->nr_open = 0;
	for (size_t i = 0; i < c->nr_pending; i++) {
		if (c->pending[i].safe)
			continue;
		if (c->nr_open == c->room_open)
			c->open = must_grow(c->open, &c->room_open, sizeof(*c->open));
		c->open[c->nr_open++] = i;
	}
}

/* Everything that the disk may hold at the end of an epoch. */
static void epoch_show(struct cuts *c)
{
	open_gather(c);
	if (c->nr_open <= c->options.all_up_to) {
		show_every_choice(c, false);
		return;
	}
	choose_all(c, true);
	choice_show(c, "all");
	choose_all(c, false);
	choice_show(c, "none");
	show_pairs(c, true);
	show_pairs(c, false);
	show_by_seed(c);
	c->started = false;
}

/* The last unit in part: from its front, or from its end; with all others that are optional, or none. */
static void show_torn(struct cuts *c)
{
	const struct record_entry *e = entry_of(c, c->nr_pending - 1);
	u64 step = 1;
	char choice[48];

	for (u64 at = 1; at < e->nr; at += step) {
		for (unsigned others = 0; others < 2; others++) {
			choose_all(c, others);
			c->pending[c->nr_pending - 1].chosen = true;
			snprintf(choice, sizeof(choice), "torn%llu%s", (unsigned long long)at,
				 others ? "" : "alone");
			choice_show_part(c, choice, 0, at);
			snprintf(choice, sizeof(choice), "tail%llu%s", (unsigned long long)at,
				 others ? "" : "alone");
			choice_show_part(c, choice, at, e->nr);
		}
		/* Inside a long one only at its pages. */
		step = at >= 8 && at + 16 < e->nr ? 8 : 1;
	}
}

static void unit_start(struct cuts *c, size_t entry)
{
	const struct record_entry *e = &c->record->entries[entry];

	if (c->nr_pending == c->room_pending)
		c->pending = must_grow(c->pending, &c->room_pending, sizeof(*c->pending));
	c->pending[c->nr_pending++] = (struct pending){.entry = entry};
	c->started = true;
	open_gather(c);
	if (c->nr_open <= c->options.all_up_to) {
		show_every_choice(c, true);
	} else {
		choose_all(c, true);
		choice_show(c, "all");
	}
	if (e->use != RECORD_META)
		show_torn(c);
}

/* Those at the front that are safe are in the state for good. */
static void pending_settle(struct cuts *c)
{
	size_t n = 0;

	while (n < c->nr_pending && c->pending[n].safe) {
		const struct record_entry *e = entry_of(c, n++);

		state_put(c->state, e->sector, e->nr, e->data, e->hashes);
	}
	if (!n)
		return;
	c->nr_pending -= n;
	memmove(c->pending, c->pending + n, c->nr_pending * sizeof(*c->pending));
}

static void flush_end(struct cuts *c, const struct record_entry *flush)
{
	open_gather(c);
	if (c->started && c->nr_open > c->options.all_up_to)
		epoch_show(c);
	for (size_t i = 0; i < c->nr_pending; i++) {
		const struct record_entry *e = entry_of(c, i);

		if (e->ended && e->ended < flush->started)
			c->pending[i].safe = true; /* (1) */
	}
	pending_settle(c);
}

static void fua_end(struct cuts *c, size_t entry)
{
	for (size_t i = 0; i < c->nr_pending; i++)
		if (c->pending[i].entry == entry)
			c->pending[i].safe = true; /* (2) */
	pending_settle(c);
}

static void mark_passed(struct cuts *c, const struct record_entry *e)
{
	switch (e->mark) {
	case MARK_BEGIN:
		c->begun = e->op + 1;
		break;
	case MARK_DONE:
		break;
	case MARK_PROMISE:
		c->promised = (int)e->op;
		epoch_show(c);
		break;
	}
}

static void event_pass(struct cuts *c, const struct event *event)
{
	const struct record_entry *e = &c->record->entries[event->entry];

	switch (event->kind) {
	case EVENT_START:
		unit_start(c, event->entry);
		break;
	case EVENT_FUA_END:
		fua_end(c, event->entry);
		break;
	case EVENT_FLUSH_END:
		flush_end(c, e);
		break;
	case EVENT_MARK:
		mark_passed(c, e);
		break;
	}
}

int cuts_visit(struct state *state, const struct record *record, const struct cut_options *options,
	       cut_visit_fn visit, void *ctx, struct cut_counts *counts)
{
	struct state_mark mark = state_mark(state);
	struct cuts c = {
		.state = state,
		.record = record,
		.options = *options,
		.visit = visit,
		.ctx = ctx,
		.counts = counts,
		.promised = -1,
	};

	c.options.all_up_to = options->all_up_to ? options->all_up_to : 10;
	c.options.by_seed = options->by_seed ? options->by_seed : 500;
	events_make(&c);
	state_show(&c, "start");
	for (; c.event < c.nr_events && !c.ret; c.event++)
		event_pass(&c, &c.events[c.event]);
	if (!c.ret)
		epoch_show(&c);
	state_rollback(state, &mark);
	free(c.events);
	free(c.pending);
	free(c.open);
	hash_set_free(&c.seen);
	return c.ret;
}

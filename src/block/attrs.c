/* SPDX-License-Identifier: MIT */
/*
 * What a disk shows of itself: attributes for sysfs, and the texts of /proc/diskstats and /proc/partitions.
 * The forms are Linux's (Documentation/ABI, Documentation/admin-guide/iostats.rst).
 */
#include "block/blk_internal.h"

#include "base/parser.h"
#include "base/seq_file.h"
#include "block/stats.h"

static struct block_device *dev_to_bdev(struct device *dev)
{
	return dev->driver_data;
}

static const struct queue_limits *dev_limits(struct device *dev)
{
	return &dev_to_bdev(dev)->bd_queue->limits;
}

static int show_u64(struct seq_file *m, u64 value)
{
	seq_printf(m, "%llu\n", (unsigned long long)value);
	return 0;
}

/* An attribute that shows one number: NAME, and an expression over `dev`. */
#define NUMBER_ATTR(ident, attr_name, expr)                                                                  \
	static int ident##_show(struct device *dev, struct seq_file *m)                                      \
	{                                                                                                    \
		return show_u64(m, (expr));                                                                  \
	}                                                                                                    \
	static const struct device_attribute attr_##ident = {                                                \
		.name = attr_name, .mode = 0444, .show = ident##_show}

NUMBER_ATTR(size, "size", bdev_nr_sectors(dev_to_bdev(dev)));
NUMBER_ATTR(ro, "ro", bdev_read_only(dev_to_bdev(dev)));
NUMBER_ATTR(removable, "removable", 0);
NUMBER_ATTR(range, "range", DISK_MINORS);
NUMBER_ATTR(ext_range, "ext_range", DISK_MAX_PARTS);
NUMBER_ATTR(partition, "partition", dev_to_bdev(dev)->bd_partno);
NUMBER_ATTR(start, "start", dev_to_bdev(dev)->bd_start_sect - bdev_whole(dev_to_bdev(dev))->bd_start_sect);
NUMBER_ATTR(logical, "logical_block_size", dev_limits(dev)->logical_block_size);
NUMBER_ATTR(physical, "physical_block_size", dev_limits(dev)->physical_block_size);
NUMBER_ATTR(io_min, "minimum_io_size", dev_limits(dev)->io_min);
NUMBER_ATTR(io_opt, "optimal_io_size", dev_limits(dev)->io_opt);
NUMBER_ATTR(max_kb, "max_sectors_kb", dev_limits(dev)->max_sectors / 2);
NUMBER_ATTR(max_segments, "max_segments", dev_limits(dev)->max_segments);
NUMBER_ATTR(max_segment, "max_segment_size", dev_limits(dev)->max_segment_bytes);
NUMBER_ATTR(discard_max, "discard_max_bytes", (u64)dev_limits(dev)->max_discard_sectors << SECTOR_SHIFT);
NUMBER_ATTR(discard_gran, "discard_granularity", dev_limits(dev)->discard_granularity);
NUMBER_ATTR(zeroes_max, "write_zeroes_max_bytes",
	    (u64)dev_limits(dev)->max_write_zeroes_sectors << SECTOR_SHIFT);
NUMBER_ATTR(fua, "fua", dev_limits(dev)->fua);
NUMBER_ATTR(rotational, "rotational", dev_limits(dev)->rotational);
NUMBER_ATTR(nr_requests, "nr_requests",
	    dev_to_bdev(dev)->bd_queue->set->queue_depth *(dev_to_bdev(dev)->bd_queue->elevator ? 2u : 1u));

static int write_cache_show(struct device *dev, struct seq_file *m)
{
	seq_puts(m, dev_limits(dev)->write_cache ? "write back\n" : "write through\n");
	return 0;
}
static const struct device_attribute attr_write_cache = {
	.name = "write_cache", .mode = 0444, .show = write_cache_show};

static int scheduler_show(struct device *dev, struct seq_file *m)
{
	disk_show_scheduler(dev_to_bdev(dev), m);
	return 0;
}
static int scheduler_store(struct device *dev, const char *words)
{
	return disk_set_scheduler(dev_to_bdev(dev), words);
}
static const struct device_attribute attr_scheduler = {
	.name = "scheduler", .mode = 0644, .show = scheduler_show, .store = scheduler_store};

static int nomerges_show(struct device *dev, struct seq_file *m)
{
	return show_u64(m, READ_ONCE(dev_to_bdev(dev)->bd_queue->nomerges) ? 2 : 0);
}
static int nomerges_store(struct device *dev, const char *words)
{
	unsigned value;
	int ret = kstrtouint(words, 10, &value);

	if (!ret)
		WRITE_ONCE(dev_to_bdev(dev)->bd_queue->nomerges, value != 0);
	return ret;
}
static const struct device_attribute attr_nomerges = {
	.name = "nomerges", .mode = 0644, .show = nomerges_show, .store = nomerges_store};

static u64 ms_of(u64 ns)
{
	return ns / NSEC_PER_MSEC;
}

/* The numbers of one device, separated by blanks: reads, writes, in flight and ticks, discards, flushes. */
static void stats_show(const struct block_device *bdev, struct seq_file *m)
{
	struct disk_stats_shard s;
	u64 queue_ns = 0;

	blk_stats_sum(bdev, &s);
	for (unsigned g = 0; g < NR_STAT_GROUPS; g++)
		queue_ns += s.nsecs[g];
	for (unsigned g = STAT_READ; g <= STAT_WRITE; g++)
		seq_printf(m, "%llu %llu %llu %llu ", (unsigned long long)s.ios[g],
			   (unsigned long long)s.merges[g], (unsigned long long)s.sectors[g],
			   (unsigned long long)ms_of(s.nsecs[g]));
	seq_printf(m, "%lld %llu %llu", (long long)(s.in_flight[0] + s.in_flight[1]),
		   (unsigned long long)s.io_ticks, (unsigned long long)ms_of(queue_ns));
	seq_printf(m, " %llu %llu %llu %llu", (unsigned long long)s.ios[STAT_DISCARD],
		   (unsigned long long)s.merges[STAT_DISCARD], (unsigned long long)s.sectors[STAT_DISCARD],
		   (unsigned long long)ms_of(s.nsecs[STAT_DISCARD]));
	seq_printf(m, " %llu %llu\n", (unsigned long long)s.ios[STAT_FLUSH],
		   (unsigned long long)ms_of(s.nsecs[STAT_FLUSH]));
}

static int stat_show(struct device *dev, struct seq_file *m)
{
	stats_show(dev_to_bdev(dev), m);
	return 0;
}
static const struct device_attribute attr_stat = {.name = "stat", .mode = 0444, .show = stat_show};

static int inflight_show(struct device *dev, struct seq_file *m)
{
	struct disk_stats_shard s;

	blk_stats_sum(dev_to_bdev(dev), &s);
	seq_printf(m, "%8lld %8lld\n", (long long)s.in_flight[0], (long long)s.in_flight[1]);
	return 0;
}
static const struct device_attribute attr_inflight = {
	.name = "inflight", .mode = 0444, .show = inflight_show};

/*
 * shale's own: a line for each operation and bucket that is not empty: operation, lower bound in ns, number
 * of requests.
 */
static int latency_show(struct device *dev, struct seq_file *m)
{
	static const char *const names[NR_STAT_GROUPS] = {"read", "write", "discard", "flush"};
	struct disk_stats_shard s;

	blk_stats_sum(dev_to_bdev(dev), &s);
	for (unsigned g = 0; g < NR_STAT_GROUPS; g++)
		for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
			if (s.latency[g][b])
				seq_printf(m, "%s %llu %u\n", names[g], 1ull << b, s.latency[g][b]);
	return 0;
}
static const struct device_attribute attr_latency = {.name = "latency", .mode = 0444, .show = latency_show};

static const struct device_attribute *const disk_attrs[] = {&attr_size,     &attr_ro,        &attr_removable,
							    &attr_range,    &attr_ext_range, &attr_stat,
							    &attr_inflight, &attr_latency,   NULL};
static const struct device_attribute *const part_attrs[] = {
	&attr_partition, &attr_start, &attr_size, &attr_ro, &attr_stat, &attr_inflight, &attr_latency, NULL};
static const struct device_attribute *const queue_attrs[] = {&attr_scheduler,
							     &attr_nr_requests,
							     &attr_nomerges,
							     &attr_logical,
							     &attr_physical,
							     &attr_io_min,
							     &attr_io_opt,
							     &attr_max_kb,
							     &attr_max_segments,
							     &attr_max_segment,
							     &attr_discard_max,
							     &attr_discard_gran,
							     &attr_zeroes_max,
							     &attr_write_cache,
							     &attr_fua,
							     &attr_rotational,
							     NULL};

static const struct attribute_group disk_group = {.attrs = disk_attrs};
static const struct attribute_group part_group = {.attrs = part_attrs};
static const struct attribute_group queue_group = {.name = "queue", .attrs = queue_attrs};
const struct attribute_group *const disk_attr_groups[] = {&disk_group, &queue_group, NULL};
const struct attribute_group *const part_attr_groups[] = {&part_group, NULL};

/* Calls show for the whole of each disk and its partitions. */
static void for_each_bdev(struct shale *machine, struct seq_file *m,
			  void (*show)(struct block_device *bdev, struct seq_file *m))
{
	struct blk_machine *blk = blk_machine(machine);
	struct gendisk *disk;
	struct blk_bdev *b;
	scoped_mutex_lock(&blk->lock);

	list_for_each_entry (disk, &blk->disks, node) {
		show(disk->part0, m);
		list_for_each_entry (b, &disk->parts, node)
			show(&b->bdev, m);
	}
}

static void diskstats_line(struct block_device *bdev, struct seq_file *m)
{
	seq_printf(m, "%4u %7u %s ", major(bdev->bd_dev), minor(bdev->bd_dev), bdev_name(bdev));
	stats_show(bdev, m);
}

void diskstats_show(struct shale *machine, struct seq_file *m)
{
	for_each_bdev(machine, m, diskstats_line);
}

static void partitions_line(struct block_device *bdev, struct seq_file *m)
{
	if (bdev_nr_sectors(bdev))
		seq_printf(m, "%4u  %7u %10llu %s\n", major(bdev->bd_dev), minor(bdev->bd_dev),
			   (unsigned long long)(bdev_nr_sectors(bdev) >> 1), bdev_name(bdev));
}

void partitions_show(struct shale *machine, struct seq_file *m)
{
	seq_puts(m, "major minor  #blocks  name\n\n");
	for_each_bdev(machine, m, partitions_line);
}

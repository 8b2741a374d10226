/* SPDX-License-Identifier: MIT */
/*
 * Devices, attributes, listeners, numbers and modules: rows D1 (built-in), D2.
 */
#include "base_machine.h"

#include "base/seq_file.h"
#include "device/device.h"
#include "device/module.h"

static unsigned released;

static void count_release(struct device *dev)
{
	released++;
}

static int level_show(struct device *dev, struct seq_file *m)
{
	seq_printf(m, "%d\n", *(int *)dev->driver_data);
	return 0;
}

static int level_store(struct device *dev, const char *words)
{
	*(int *)dev->driver_data = atoi(words);
	return 0;
}

static const struct device_attribute level = {"level", 0644, level_show, level_store};
static const struct device_attribute *const attrs[] = {&level, NULL};
static const struct attribute_group plain = {NULL, attrs}, named = {"deep", attrs};
static const struct attribute_group *const own_groups[] = {&plain, NULL};
static const struct attribute_group *const class_groups[] = {&named, NULL};
static const struct device_class test_class = {"test", class_groups}, other_class = {"other", NULL};

struct heard {
	struct device_listener listener;
	char text[256];
};

static void hear_added(struct device_listener *l, struct device *dev)
{
	struct heard *h = container_of(l, struct heard, listener);

	strcat(strcat(h->text, "+"), dev->name);
}

static void hear_removed(struct device_listener *l, struct device *dev)
{
	struct heard *h = container_of(l, struct heard, listener);

	strcat(strcat(h->text, "-"), dev->name);
}

static void init_dev(struct shale *machine, struct device *dev, const char *name, struct device *parent,
		     int *value)
{
	*dev = (struct device){.name = name,
			       .class = &test_class,
			       .parent = parent,
			       .groups = own_groups,
			       .driver_data = value,
			       .release = count_release,
			       .devt = makedev(10, (unsigned)*value)};
	device_initialize(machine, dev);
}

static int count_device(struct device *dev, void *data)
{
	return ++*(int *)data == 2 ? 77 : 0;
}

static void devices_come_and_go(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, 1);
	struct heard h = {.listener = {hear_added, hear_removed, {}}, .text = ""};
	struct device a, b, twin, *found;
	int va = 1, vb = 2, n = 0;

	released = 0;
	assert_int_equal(device_init(machine), 0);
	init_dev(machine, &a, "a", NULL, &va);
	init_dev(machine, &b, "b", &a, &vb);
	init_dev(machine, &twin, "a", NULL, &va);
	assert_int_equal(device_add(&a), 0);
	device_listener_register(machine, &h.listener); /* hears of what is there */
	assert_int_equal(device_add(&b), 0);
	assert_int_equal(device_add(&twin), -EEXIST);
	put_device(&twin);
	assert_int_equal(released, 1);
	assert_int_equal(device_for_each(machine, NULL, count_device, &n), 77);
	assert_null(device_find(machine, &other_class, "a"));
	found = device_find_devt(machine, &test_class, makedev(10, 2));
	assert_ptr_equal(found, &b);
	device_del(&b);
	put_device(&b);
	assert_int_equal(released, 1); /* `found` holds it */
	put_device(found);
	assert_int_equal(released, 2);
	device_del(&a);
	put_device(&a);
	assert_int_equal(released, 3);
	device_listener_unregister(machine, &h.listener);
	assert_string_equal(h.text, "+a+b-b-a");
	device_exit(machine);
	test_machine_stop(&t);
}

static void attributes_of_device_and_class(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, 1);
	struct device a;
	struct seq_file m;
	int value = 5;

	assert_int_equal(device_init(machine), 0);
	init_dev(machine, &a, "a", NULL, &value);
	seq_text_init(&m, machine);
	assert_int_equal(device_attr_show(&a, NULL, "level", &m), 0);
	assert_int_equal(device_attr_store(&a, "deep", "level", "6"), 0);
	assert_int_equal(device_attr_show(&a, "deep", "level", &m), 0);
	assert_int_equal(device_attr_show(&a, "shallow", "level", &m), -ENOENT);
	assert_string_equal(seq_text(&m), "5\n6\n");
	seq_text_free(&m);
	put_device(&a);
	device_exit(machine);
	test_machine_stop(&t);
}

static void numbers_are_given_once(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, 1);
	struct seq_file m;
	unsigned first;

	assert_int_equal(device_init(machine), 0);
	assert_int_equal(register_blkdev(machine, 8, "sd"), 8);
	assert_int_equal(register_blkdev(machine, 8, "other"), -EBUSY);
	assert_int_equal(register_blkdev(machine, 512, "high"), -EINVAL);
	assert_int_equal(register_blkdev(machine, 0, "dyn"), 254);
	assert_int_equal(register_blkdev(machine, 0, "dyn2"), 253);
	assert_int_equal(device_major_register(machine, DEVICE_CHAR, 1, "mem"), 1);
	assert_int_equal(device_minors_alloc(machine, DEVICE_BLOCK, 254, 16, &first), 0);
	assert_int_equal(first, 0);
	assert_int_equal(device_minors_alloc(machine, DEVICE_BLOCK, 254, 16, &first), 0);
	assert_int_equal(first, 16);
	device_minors_free(machine, DEVICE_BLOCK, 254, 0, 16);
	assert_int_equal(device_minors_alloc(machine, DEVICE_BLOCK, 254, 1, &first), 0);
	assert_int_equal(first, 0);
	assert_int_equal(device_minors_alloc(machine, DEVICE_BLOCK, 254, 16, &first), 0);
	assert_int_equal(first, 32); /* the lowest aligned run that is free */
	assert_int_equal(device_minors_alloc(machine, DEVICE_BLOCK, 99, 1, &first), -ENODEV);
	seq_text_init(&m, machine);
	devices_show(machine, &m);
	assert_string_equal(seq_text(&m),
			    "Character devices:\n  1 mem\n\nBlock devices:\n  8 sd\n253 dyn2\n254 dyn\n");
	seq_text_free(&m);
	device_major_unregister(machine, DEVICE_BLOCK, 8, "sd");
	assert_int_equal(register_blkdev(machine, 8, "sd"), 8);
	device_exit(machine);
	test_machine_stop(&t);
}

static char calls[64];
static int fail_second;

static int mod_one_init(struct shale *machine)
{
	strcat(calls, "1");
	return 0;
}
static void mod_one_exit(struct shale *machine)
{
	strcat(calls, "a");
}
static int mod_two_init(struct shale *machine)
{
	strcat(calls, "2");
	return fail_second;
}
static void mod_two_exit(struct shale *machine)
{
	strcat(calls, "b");
}
/* A level of their own: other tests' machines do not meet them. */
#define MODULE_TEST ((enum module_level)77)
SHALE_MODULE(test_one, MODULE_TEST, mod_one_init, mod_one_exit);
SHALE_MODULE(test_two, MODULE_TEST, mod_two_init, mod_two_exit);

static void modules_start_and_end_by_level(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, 1);

	calls[0] = '\0';
	assert_int_equal(modules_init(machine, MODULE_TEST), 0);
	modules_exit(machine, MODULE_TEST);
	/* The order within a level is the linker's; the end is the opposite of the beginning. */
	assert_true(!strcmp(calls, "12ba") || !strcmp(calls, "21ab"));
	calls[0] = '\0';
	fail_second = -ENODEV;
	assert_int_equal(modules_init(machine, MODULE_TEST), -ENODEV);
	assert_true(!strcmp(calls, "12a") || !strcmp(calls, "2"));
	test_machine_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_come_and_go),
		cmocka_unit_test(attributes_of_device_and_class),
		cmocka_unit_test(numbers_are_given_once),
		cmocka_unit_test(modules_start_and_end_by_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

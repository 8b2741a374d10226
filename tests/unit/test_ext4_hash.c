/* SPDX-License-Identifier: MIT */
/*
 * E5: the hashes of directories, judged by debugfs's dx_hash: names of every length, bytes above 127, with
 * and without a seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/ext4/ext4_internal.h"

#define NAMES 300

/* debugfs knows the signed ones. */
static const char *const versions[] = {"legacy", "half_md4", "tea"};
static const char seed_text[] = "01234567-89ab-cdef-0123-456789abcdef";
static const u8 seed_bytes[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
				  0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

/* A name without what debugfs's command line would take apart. */
static unsigned make_name(unsigned i, char *name)
{
	unsigned len = 1 + i % 255;
	u32 x = i + 1;

	for (unsigned at = 0; at < len; at++) {
		x = x * 1664525 + 1013904223;
		name[at] = (x >> 16 & 3) == 3 ? (char)(0xa1 + (x >> 18) % 80) : (char)('a' + (x >> 18) % 26);
	}
	name[len] = 0;
	return len;
}

static void write_commands(const char *path)
{
	FILE *f = fopen(path, "w");
	char name[256];

	assert_non_null(f);
	for (unsigned i = 0; i < NAMES; i++) {
		make_name(i, name);
		for (unsigned v = 0; v < ARRAY_SIZE(versions); v++)
			fprintf(f, "dx_hash -h %s %s %s %s\n", versions[v], i % 2 ? "-s" : "",
				i % 2 ? seed_text : "", name);
	}
	fclose(f);
}

static void test_ext4_hash_matches_debugfs(void **state)
{
	char path[] = "/tmp/shale-hash.XXXXXX", command[64], line[1024], name[256];
	struct ext4_sb_info sbi = {0};
	unsigned n = 0;
	FILE *answers;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	write_commands(path);
	snprintf(command, sizeof(command), "debugfs -f %s 2>/dev/null", path);
	answers = popen(command, "r");
	assert_non_null(answers);
	while (fgets(line, sizeof(line), answers)) {
		const char *at = strstr(line, " is 0x");
		unsigned i = n / ARRAY_SIZE(versions), v = n % ARRAY_SIZE(versions), hash, minor, len;
		struct ext4_hash h;

		if (!at || strncmp(line, "Hash of ", 8))
			continue;
		assert_int_equal(sscanf(at, " is %x (minor %x)", &hash, &minor), 2);
		len = make_name(i, name);
		memset(sbi.hash_seed, 0, sizeof(sbi.hash_seed));
		if (i % 2)
			memcpy(sbi.hash_seed, seed_bytes, sizeof(seed_bytes));
		assert_int_equal(ext4_dirhash(&sbi, v, name, len, &h), 0);
		assert_int_equal(h.hash, hash);
		assert_int_equal(h.minor, minor);
		n++;
	}
	pclose(answers);
	unlink(path);
	assert_int_equal(n, NAMES * ARRAY_SIZE(versions));
}

/* The unsigned forms differ from the signed ones where a byte is above 127, and only there. */
static void test_ext4_hash_unsigned(void **state)
{
	struct ext4_sb_info sbi = {0};
	struct ext4_hash is_signed, is_unsigned;

	for (unsigned v = 0; v < ARRAY_SIZE(versions); v++) {
		assert_int_equal(ext4_dirhash(&sbi, v, "plain", 5, &is_signed), 0);
		assert_int_equal(ext4_dirhash(&sbi, v + DX_HASH_LEGACY_UNSIGNED, "plain", 5, &is_unsigned),
				 0);
		assert_int_equal(is_signed.hash, is_unsigned.hash);
		assert_int_equal(ext4_dirhash(&sbi, v, "pl\xe4in", 5, &is_signed), 0);
		assert_int_equal(ext4_dirhash(&sbi, v + DX_HASH_LEGACY_UNSIGNED, "pl\xe4in", 5, &is_unsigned),
				 0);
		assert_int_not_equal(is_signed.hash, is_unsigned.hash);
	}
}

static void test_ext4_hash_refuses_unknown(void **state)
{
	struct ext4_sb_info sbi = {0};
	struct ext4_hash h;

	assert_int_equal(ext4_dirhash(&sbi, DX_HASH_SIPHASH, "a", 1, &h), -EOPNOTSUPP);
	assert_int_equal(ext4_dirhash(&sbi, 200, "a", 1, &h), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ext4_hash_matches_debugfs),
		cmocka_unit_test(test_ext4_hash_unsigned),
		cmocka_unit_test(test_ext4_hash_refuses_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

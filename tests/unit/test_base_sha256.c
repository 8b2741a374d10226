/* SPDX-License-Identifier: MIT */
/* SHA-256 by the examples of FIPS 180-2 and by lengths around those where the padding takes another block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha256.h"

static void check(const void *data, size_t bytes, const char *hex)
{
	u8 digest[SHA256_BYTES];
	char text[2 * SHA256_BYTES + 1];

	sha256(data, bytes, digest);
	for (unsigned i = 0; i < SHA256_BYTES; i++)
		snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
	assert_string_equal(text, hex);
}

static void test_base_sha256_examples(void **state)
{
	static char million[1000000];

	memset(million, 'a', sizeof(million));
	check("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	check("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
	      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	check(million, sizeof(million), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* sha256sum(1) over the first n letters of an alphabet that goes round. */
static void test_base_sha256_lengths(void **state)
{
	char data[200], command[256], hex[65] = "";

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (char)('a' + i % 26);
	for (unsigned n = 50; n <= 130; n += n == 70 ? 45 : 1) {
		FILE *answer;

		snprintf(command, sizeof(command), "printf '%%s' '%.*s' | sha256sum", (int)n, data);
		answer = popen(command, "r");
		assert_non_null(answer);
		assert_int_equal(fread(hex, 1, 64, answer), 64);
		pclose(answer);
		check(data, n, hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base_sha256_examples),
		cmocka_unit_test(test_base_sha256_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

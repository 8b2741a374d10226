/* SPDX-License-Identifier: MIT */
/*
 * Names of encrypted files without the key. On disk a name is ciphertext, of any bytes; to whom has no key it
 * is shown as text that finds it again: base64url (RFC 4648, without padding) over the name's hash of 8 bytes
 * and the ciphertext. Of a ciphertext longer than 149 bytes only so many are shown, and the SHA-256 of the
 * rest. The kernel's documentation of fscrypt, "No-key names". Targets of symlinks are shown alike, with a
 * hash of zeroes.
 */
#include "base/sha256.h"
#include "fs/ext4/ext4_internal.h"

#define HASH_BYTES (2 * sizeof(le32))
#define CUT_BYTES  (HASH_BYTES + EXT4_NOKEY_PREFIX + SHA256_BYTES)

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

_Static_assert((CUT_BYTES * 4 + 2) / 3 == EXT4_NOKEY_TEXT_MAX, "the longest text is that of a name cut off");

static unsigned base64_encode(const u8 *bytes, unsigned n, char *text)
{
	unsigned bits = 0, out = 0;
	u32 held = 0;

	for (unsigned i = 0; i < n; i++) {
		held = held << 8 | bytes[i];
		for (bits += 8; bits >= 6; bits -= 6)
			text[out++] = alphabet[held >> (bits - 6) & 63];
	}
	if (bits)
		text[out++] = alphabet[held << (6 - bits) & 63];
	return out;
}

/* The number of bytes, or -1: not what base64_encode makes of any. */
static int base64_decode(const char *text, unsigned n, u8 *bytes)
{
	unsigned bits = 0;
	u32 held = 0;
	int out = 0;

	for (unsigned i = 0; i < n; i++) {
		const char *at = memchr(alphabet, text[i], sizeof(alphabet));

		if (!at)
			return -1;
		held = held << 6 | (u32)(at - alphabet);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			bytes[out++] = (u8)(held >> bits);
		}
	}
	return bits >= 6 || held & ((1u << bits) - 1) ? -1 : out;
}

bool ext4_name_is_encrypted(const struct inode *dir, const char *name, unsigned len)
{
	return EXT4_I(dir)->i_flags & EXT4_ENCRYPT_FL &&
	       !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

unsigned ext4_nokey_encode(const struct ext4_hash *h, const void *name, unsigned len, char *text)
{
	const le32 words[2] = {cpu_to_le32(h->hash), cpu_to_le32(h->minor)};
	u8 bytes[CUT_BYTES];
	unsigned shown = min(len, EXT4_NOKEY_PREFIX), n = HASH_BYTES + shown;

	memcpy(bytes, words, HASH_BYTES);
	memcpy(bytes + HASH_BYTES, name, shown);
	if (len > shown) {
		sha256((const u8 *)name + shown, len - shown, bytes + n);
		n += SHA256_BYTES;
	}
	return base64_encode(bytes, n, text);
}

int ext4_nokey_decode(const char *text, unsigned len, struct ext4_nokey *out)
{
	u8 bytes[CUT_BYTES];
	int n = len <= EXT4_NOKEY_TEXT_MAX ? base64_decode(text, len, bytes) : -1;

	if (n <= (int)HASH_BYTES || (n > (int)(HASH_BYTES + EXT4_NOKEY_PREFIX) && n != CUT_BYTES))
		return -ENOENT;
	out->hash = (struct ext4_hash){get_unaligned_le32(bytes), get_unaligned_le32(bytes + sizeof(le32))};
	out->cut = n == CUT_BYTES;
	out->len = out->cut ? EXT4_NOKEY_PREFIX : (unsigned)n - HASH_BYTES;
	memcpy(out->name, bytes + HASH_BYTES, out->len);
	if (out->cut)
		memcpy(out->digest, bytes + HASH_BYTES + EXT4_NOKEY_PREFIX, SHA256_BYTES);
	return 0;
}

bool ext4_nokey_match(const struct ext4_nokey *k, const void *name, unsigned len)
{
	u8 digest[SHA256_BYTES];

	if (k->cut ? len <= k->len : len != k->len)
		return false;
	if (memcmp(name, k->name, k->len))
		return false;
	if (!k->cut)
		return true;
	sha256((const u8 *)name + k->len, len - k->len, digest);
	return !memcmp(digest, k->digest, SHA256_BYTES);
}

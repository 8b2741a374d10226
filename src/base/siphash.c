/* SPDX-License-Identifier: MIT */
/*
 * SipHash-2-4 as its paper describes it: two rounds per word of eight bytes, four at the end.
 */
#include "base/le.h"
#include "base/siphash.h"

struct sip_state {
	u64 v0, v1, v2, v3;
};

static inline u64 rotl(u64 x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(struct sip_state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip_state *s, u64 word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

/* The key goes in with the text "somepseudorandomlygeneratedbytes", as the paper says. */
static inline struct sip_state sip_begin(const siphash_key_t *key)
{
	return (struct sip_state){
		.v0 = key->key[0] ^ 0x736f6d6570736575ULL,
		.v1 = key->key[1] ^ 0x646f72616e646f6dULL,
		.v2 = key->key[0] ^ 0x6c7967656e657261ULL,
		.v3 = key->key[1] ^ 0x7465646279746573ULL,
	};
}

static inline u64 sip_end(struct sip_state *s)
{
	s->v2 ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

u64 siphash(const void *data, size_t len, const siphash_key_t *key)
{
	struct sip_state s = sip_begin(key);
	const u8 *p = data;
	u64 last = (u64)len << 56;

	for (size_t words = len / 8; words; words--, p += 8)
		sip_word(&s, get_unaligned_le64(p));
	for (unsigned i = 0; i < len % 8; i++)
		last |= (u64)p[i] << (8 * i);
	sip_word(&s, last);
	return sip_end(&s);
}

u64 siphash_1u64(u64 value, const siphash_key_t *key)
{
	struct sip_state s = sip_begin(key);

	sip_word(&s, value);
	sip_word(&s, (u64)8 << 56);
	return sip_end(&s);
}

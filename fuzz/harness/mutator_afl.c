/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mutator as a library for afl-fuzz (AFL_CUSTOM_MUTATOR_LIBRARY), by the interface of 4.04c.
 * It keeps all in its own state and needs no header of AFL++.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "mutate.h"
#include "shrink.h"

#define MAX_OUT	      (64u << 10)
#define BYTES_PERCENT 6u
#define MAX_TRIM      200 /* proposals for one input */

struct mutator {
	u64 rng;
	u8 out[MAX_OUT];
	u32 done[NR_MUTATIONS]; /* by the last call */
	char text[256];
	/* Of an input that is being trimmed. */
	struct shrink shrink;
	struct program *cand;
	bool trimming;
	int nr_trims;
};

void *afl_custom_init(void *afl, unsigned int seed);
void afl_custom_deinit(void *data);
size_t afl_custom_fuzz(void *data, unsigned char *buf, size_t size, unsigned char **out,
		       unsigned char *add, size_t add_size, size_t max_size);
const char *afl_custom_describe(void *data, size_t max);
int afl_custom_init_trim(void *data, unsigned char *buf, size_t size);
size_t afl_custom_trim(void *data, unsigned char **out);
int afl_custom_post_trim(void *data, unsigned char success);
size_t afl_custom_post_process(void *data, unsigned char *buf, size_t size, unsigned char **out);

void *afl_custom_init(void *afl, unsigned int seed)
{
	struct mutator *m = calloc(1, sizeof(*m));

	(void)afl;
	if (m)
		m->rng = seed;
	return m;
}

static void end_trim(struct mutator *m)
{
	if (m->trimming)
		shrink_end(&m->shrink);
	m->trimming = false;
}

void afl_custom_deinit(void *data)
{
	end_trim(data);
	free(data);
}

/* A byte of one record, so that what no operation of the mutator makes stays within reach. */
static size_t change_bytes(struct mutator *m, const u8 *buf, size_t size)
{
	u64 r;

	memcpy(m->out, buf, size);
	do {
		r = fi_draw(&m->rng);
		m->out[r % size] ^= (u8)(1u << (r >> 32 & 7));
	} while (r >> 40 & 1);
	return size;
}

size_t afl_custom_fuzz(void *data, unsigned char *buf, size_t size, unsigned char **out,
		       unsigned char *add, size_t add_size, size_t max_size)
{
	struct mutator *m = data;
	size_t n = 0;

	memset(m->done, 0, sizeof(m->done));
	if (max_size > MAX_OUT)
		max_size = MAX_OUT;
	if (size && size <= max_size && fi_draw(&m->rng) % 100 < BYTES_PERCENT)
		n = change_bytes(m, buf, size);
	else
		n = mutate_bytes(buf, size, add, add_size, m->out, max_size, fi_draw(&m->rng),
				 m->done);
	/* it takes a length of 0 for the end of the world */
	*out = n ? m->out : buf;
	return n ? n : size;
}

/* Part of the names of what is kept. */
const char *afl_custom_describe(void *data, size_t max)
{
	struct mutator *m = data;
	size_t len = 0, room = max < sizeof(m->text) ? max : sizeof(m->text);

	if (!room)
		return NULL;
	m->text[0] = '\0';
	for (u32 i = 0; i < NR_MUTATIONS && len < room; i++)
		if (m->done[i])
			len += (size_t)snprintf(m->text + len, room - len, "%s%s", len ? "+" : "",
						mutation_names[i]);
	if (!len)
		snprintf(m->text, room, "bytes");
	return m->text;
}

/*
 * Trimming leaves operations out, as the minimiser does, while the coverage stays. The number of
 * steps says only whether there is one more.
 */
int afl_custom_init_trim(void *data, unsigned char *buf, size_t size)
{
	struct mutator *m = data;
	struct program p;

	end_trim(m);
	if (program_decode(&p, buf, size))
		return 0;
	m->trimming = !shrink_begin(&m->shrink, &p, true);
	program_free(&p);
	m->nr_trims = 0;
	m->cand = m->trimming ? shrink_next(&m->shrink) : NULL;
	return m->cand ? 1 : 0;
}

size_t afl_custom_trim(void *data, unsigned char **out)
{
	struct mutator *m = data;
	u8 *bytes;
	size_t len = 0;

	*out = m->out;
	if (program_encode(m->cand, &bytes, &len))
		return 0;
	if (len <= MAX_OUT)
		memcpy(m->out, bytes, len);
	free(bytes);
	return len <= MAX_OUT ? len : 0;
}

int afl_custom_post_trim(void *data, unsigned char success)
{
	struct mutator *m = data;

	shrink_judge(&m->shrink, success);
	if (++m->nr_trims >= MAX_TRIM)
		return 1;
	m->cand = shrink_next(&m->shrink);
	return m->cand ? 0 : 1;
}

/* Whatever changed it, a record that is cut short says less than one that is not there. */
size_t afl_custom_post_process(void *data, unsigned char *buf, size_t size, unsigned char **out)
{
	(void)data;
	*out = buf;
	return size > PROG_RECORD ? size - size % PROG_RECORD : size;
}

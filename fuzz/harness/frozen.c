/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Not a mutator but the files of a folder, one after the other, for libFuzzer and for afl-fuzz: so
 * that both engines run the same inputs as often as one likes (ci/bench-fuzz). FAULTLINE_FROZEN
 * names the folder; its files are called 0, 1, 2, ...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUTS 1024u
#define MAX_INPUT  ((size_t)64 << 10)

struct frozen {
	unsigned int nr, next;
	struct {
		unsigned char *data;
		size_t size;
	} inputs[MAX_INPUTS];
};

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
void *afl_custom_init(void *afl, unsigned int seed);
void afl_custom_deinit(void *data);
size_t afl_custom_fuzz(void *data, unsigned char *buf, size_t size, unsigned char **out,
		       unsigned char *add, size_t add_size, size_t max_size);

static void frozen_load(struct frozen *f)
{
	const char *folder = getenv("FAULTLINE_FROZEN");
	char path[4096];

	while (folder && f->nr < MAX_INPUTS) {
		unsigned char *data = malloc(MAX_INPUT);
		FILE *in;

		snprintf(path, sizeof(path), "%s/%u", folder, f->nr);
		in = fopen(path, "rbe");
		if (!data || !in) {
			free(data);
			break;
		}
		f->inputs[f->nr].size = fread(data, 1, MAX_INPUT, in);
		f->inputs[f->nr++].data = data;
		fclose(in);
	}
	if (!f->nr) {
		fprintf(stderr, "FAULTLINE_FROZEN: no inputs\n");
		exit(3);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static struct frozen f;
	unsigned int i;

	(void)size;
	(void)seed;
	if (!f.nr)
		frozen_load(&f);
	i = f.next++ % f.nr;
	size = f.inputs[i].size < max_size ? f.inputs[i].size : max_size;
	memcpy(data, f.inputs[i].data, size);
	return size;
}

void *afl_custom_init(void *afl, unsigned int seed)
{
	struct frozen *f = calloc(1, sizeof(*f));

	(void)afl;
	(void)seed;
	if (f)
		frozen_load(f);
	return f;
}

void afl_custom_deinit(void *data)
{
	struct frozen *f = data;

	for (unsigned int i = 0; i < f->nr; i++)
		free(f->inputs[i].data);
	free(f);
}

size_t afl_custom_fuzz(void *data, unsigned char *buf, size_t size, unsigned char **out,
		       unsigned char *add, size_t add_size, size_t max_size)
{
	struct frozen *f = data;
	unsigned int i = f->next++ % f->nr;

	(void)buf;
	(void)size;
	(void)add;
	(void)add_size;
	*out = f->inputs[i].data;
	return f->inputs[i].size < max_size ? f->inputs[i].size : max_size;
}

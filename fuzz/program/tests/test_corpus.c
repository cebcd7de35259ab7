/* SPDX-License-Identifier: GPL-2.0-only */
/* The committed corpus: every file is canonical text, and the seeds have every operation. */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "program.h"

static u32 seen[NR_OPS];

static char *read_file(const char *path)
{
	char *text = calloc(1, 1 << 22);
	FILE *f = fopen(path, "rb");

	assert_non_null(text);
	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 22) - 1, f) > 0);
	fclose(f);
	return text;
}

static void check_file(const char *path)
{
	char *text = read_file(path), *canonical;
	struct prog_error err;
	struct program p, q;
	u8 *bytes;
	size_t n;

	if (program_load(&p, path, &err))
		fail_msg("%s:%u: %s", path, err.line, err.what);
	assert_int_equal(program_print(&p, &canonical, NULL), 0);
	if (strcmp(text, canonical) != 0)
		fail_msg("%s is not in the form that `faultline fmt` prints", path);
	assert_int_equal(program_encode(&p, &bytes, &n), 0);
	assert_int_equal(program_decode(&q, bytes, n), 0);
	if (!program_equal(&p, &q))
		fail_msg("%s does not survive as bytes", path);
	for (u32 i = 0; i < p.nr_ops; i++)
		seen[p.ops[i].code]++;
	free(bytes);
	free(canonical);
	free(text);
	program_free(&p);
	program_free(&q);
}

static u32 check_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	char path[1024];
	u32 n = 0;

	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		size_t len = strlen(e->d_name);

		if (len < 6 || strcmp(e->d_name + len - 5, ".prog") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		check_file(path);
		n++;
	}
	closedir(dir);
	return n;
}

static void test_seeds(void **state)
{
	(void)state;
	assert_true(check_folder(FAULTLINE_SOURCE_DIR "/corpus/seeds") > 0);
	for (u32 i = 0; i < NR_OPS; i++)
		if (!seen[i])
			fail_msg("no seed has the operation %s", op_table[i].name);
}

static void test_others(void **state)
{
	(void)state;
	assert_true(check_folder(FAULTLINE_SOURCE_DIR "/corpus/real") > 0);
	check_folder(FAULTLINE_SOURCE_DIR "/corpus/regress");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include "harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct program *running;
static const struct target *target;
static const volatile u32 *position;
static bool announced, replaying;
static struct model_stats model;

void harness_running(const struct program *p, const struct target *t, const volatile u32 *op)
{
	running = p;
	target = t;
	position = op;
}

void harness_model(const struct model_stats *s)
{
	if (replaying)
		model_stats_add(&model, s);
}

bool harness_machine(const struct program *p, struct machine_config *cfg)
{
	struct prog_error error;
	char why[160];

	machine_config_init(cfg);
	return !program_machine(p, cfg, &error) && !machine_config_check(cfg, why, sizeof(why)) &&
	       cfg->mem <= HARNESS_MAX_PAGES;
}

/* ---- what a finding leaves ------------------------------------------------------------------ */

/* Called while a sanitizer reports, too: allocates nothing. */
static void print_program(const struct program *p)
{
	static const char *const order[] = {
		[TEARDOWN_NEWEST] = "newest",
		[TEARDOWN_OLDEST] = "oldest",
		[TEARDOWN_SHUFFLE] = "shuffle",
	};
	static char text[4096];

	fputs("# faultline 1\n", stderr);
	if (p->machine || p->teardown != TEARDOWN_NEWEST) {
		fprintf(stderr, "machine%s%s teardown=%s", p->machine ? " " : "",
			p->machine ? p->machine : "", order[p->teardown]);
		if (p->teardown == TEARDOWN_SHUFFLE)
			fprintf(stderr, ":%" PRIu64, p->teardown_seed);
		fputc('\n', stderr);
	}
	for (u32 i = 0; i < p->nr_ops && i < HARNESS_MAX_OPS; i++) {
		program_print_op(p, i, text, sizeof(text));
		fprintf(stderr, "%s\n", text);
	}
	fflush(stderr);
}

static void announce(const struct finding *f)
{
	char line[640];

	if (announced)
		return;
	announced = true;
	finding_line(f, line, sizeof(line));
	fprintf(stderr, "\n%s\n", line);
	if (f->expected[0])
		fprintf(stderr, "expected: %s\nactual:   %s\n", f->expected, f->actual);
	if (running)
		print_program(running);
}

void harness_finding(const struct finding *f)
{
	announce(f);
	abort();
}

/* ---- sanitizers: their report gets the same first line -------------------------------------- */

void __asan_on_error(void);
extern const char *__asan_get_report_description(void) __attribute__((weak));
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void sanitizer_finding(enum oracle oracle, const char *what)
{
	struct finding f = {.oracle = oracle, .func = "-"};

	if (!running)
		return;
	f.op = *position;
	snprintf(f.what, sizeof(f.what), "%s", what);
	snprintf(f.class_key, sizeof(f.class_key), "%s", what);
	snprintf(f.name, sizeof(f.name), "%s",
		 f.op < running->nr_ops ? op_table[running->ops[f.op].code].name : "teardown");
	target_faults(target, &f);
	announce(&f);
}

/* AddressSanitizer calls it before it prints. */
void __asan_on_error(void)
{
	sanitizer_finding(ORACLE_asan, __asan_get_report_description
					       ? __asan_get_report_description()
					       : "a report of AddressSanitizer");
}

static void on_death(void)
{
	sanitizer_finding(ORACLE_ubsan, "a report of a sanitizer");
}

#ifdef FAULTLINE_ENGINE_MAIN
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(on_death);
	return 0;
}
#else

/* ---- files: also what AFL++'s build does with arguments ------------------------------------- */

/* Decoded as bytes a text would be a program too, though not the one that was meant. */
static bool is_text(const uint8_t *data, size_t size)
{
	static const char magic[] = "# faultline ";

	return size >= sizeof(magic) - 1 && !memcmp(data, magic, sizeof(magic) - 1);
}

static int replay(const char *path)
{
	FILE *in = strcmp(path, "-") ? fopen(path, "re") : stdin;
	uint8_t *data = malloc((size_t)PROG_MAX_BYTES + 1);
	size_t size;
	int status = 0;

	if (!in || !data) {
		fprintf(stderr, "%s: %s: ", harness.name, path);
		perror(NULL);
		free(data);
		if (in && in != stdin)
			fclose(in);
		return 2;
	}
	size = fread(data, 1, (size_t)PROG_MAX_BYTES + 1, in);
	if (ferror(in)) {
		fprintf(stderr, "%s: %s: cannot be read\n", harness.name, path);
		status = 2;
	} else if (size > PROG_MAX_BYTES) {
		fprintf(stderr, "%s: %s: larger than 1 MiB\n", harness.name, path);
		status = 2;
	} else if (!harness.text && is_text(data, size)) {
		fprintf(stderr, "%s: %s: is text, and this takes bytes: use faultline run\n",
			harness.name, path);
		status = 2;
	} else {
		LLVMFuzzerTestOneInput(data, size);
	}
	if (in != stdin)
		fclose(in);
	free(data);
	return status;
}

static int replay_files(char **paths)
{
	int status = 0, nr = 0, errors = 0;

	replaying = true;
	for (; *paths; paths++) {
		int ret = replay(*paths);

		if (ret)
			errors++;
		else
			nr++;
		if (ret > status)
			status = ret;
	}
	fprintf(stderr, "%d files replayed, no finding", nr);
	if (errors)
		fprintf(stderr, "; %d could not be", errors);
	fputc('\n', stderr);
	if (nr && !harness.text)
		model_stats_print(&model, stderr);
	return status;
}

static int usage(FILE *out)
{
	fprintf(out,
		"usage: %s FILE...\n%s\n"
		"Runs inputs of the fuzzers (- is stdin). A finding prints its line and its "
		"program, and aborts.\n",
		harness.name, harness.what);
	return out == stdout ? 0 : 2;
}

#ifdef FAULTLINE_AFL
__AFL_FUZZ_INIT();

static int fuzz(void)
{
	const uint8_t *data;

	__AFL_INIT();
	data = __AFL_FUZZ_TESTCASE_BUF;
	while (__AFL_LOOP(100000))
		LLVMFuzzerTestOneInput(data, (size_t)__AFL_FUZZ_TESTCASE_LEN);
	return 0;
}
#endif

int main(int argc, char **argv)
{
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(on_death);
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return usage(stdout);
	if (argc > 1)
		return replay_files(argv + 1);
#ifdef FAULTLINE_AFL
	return fuzz();
#else
	return usage(stderr);
#endif
}
#endif

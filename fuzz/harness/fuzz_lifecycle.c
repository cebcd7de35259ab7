/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fuzz_lifecycle: bytes are a program with faults, which runs in a machine of its own. One source
 * for libFuzzer (FAULTLINE_LIBFUZZER), AFL++'s persistent mode with test cases in shared memory
 * (FAULTLINE_AFL), and a replay of files.
 *
 * A finding prints the line that others group by and the program in readable form, and aborts. An
 * input means the same to `faultline run --max-ops 512`.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target.h"

/* Bounds of one input: operations that run, and pages that its machine may have. */
#define MAX_OPS	  512u
#define MAX_PAGES 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fi fi;
static struct target target;
static const struct program *running;
static volatile u32 position;
static bool announced;

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
	for (u32 i = 0; i < p->nr_ops; i++) {
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
	print_program(running);
}

static void on_finding(void *priv, const struct finding *f)
{
	(void)priv;
	announce(f);
	abort();
}

/* ---- sanitizers: their report gets the same first line -------------------------------------- */

void __asan_on_error(void);
extern const char *__asan_get_report_description(void) __attribute__((weak));
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void sanitizer_finding(enum oracle oracle, const char *what)
{
	struct finding f = {.oracle = oracle, .op = position, .func = "-"};

	if (!running)
		return;
	snprintf(f.what, sizeof(f.what), "%s", what);
	snprintf(f.class_key, sizeof(f.class_key), "%s", what);
	snprintf(f.name, sizeof(f.name), "%s",
		 position < running->nr_ops ? op_table[running->ops[position].code].name
					    : "teardown");
	target_faults(&target, &f);
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

/* ---- one input ------------------------------------------------------------------------------ */

/* False: the machine that the input asks for is none, or too large. */
static bool make_machine(const struct program *p, struct machine_config *cfg)
{
	struct prog_error error;
	char why[160];

	machine_config_init(cfg);
	return !program_machine(p, cfg, &error) && !machine_config_check(cfg, why, sizeof(why)) &&
	       cfg->mem <= MAX_PAGES;
}

static void run(struct program *p)
{
	struct target_options opt = {
		.alloc = fl_allocator_find("malloc"),
		.check = CHECK_TOUCHED,
		.fi = &fi,
		.position = &position,
	};
	struct target_result result;
	u32 nr_ops = p->nr_ops;

	if (!make_machine(p, &opt.machine))
		return;
	if (p->nr_ops > MAX_OPS)
		p->nr_ops = MAX_OPS;
	running = p;
	position = UINT32_MAX;
	fi_init(&fi);
	if (!target_init(&target, p, &opt, on_finding, NULL)) {
		target_run(&target, NULL, &result);
		target_fini(&target);
	}
	running = NULL;
	p->nr_ops = nr_ops;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program p;

	if (size > PROG_MAX_BYTES || program_decode(&p, data, size))
		return 0;
	run(&p);
	program_free(&p);
	return 0;
}

#ifdef FAULTLINE_LIBFUZZER
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
		fprintf(stderr, "fuzz_lifecycle: %s: ", path);
		perror(NULL);
		free(data);
		if (in && in != stdin)
			fclose(in);
		return 2;
	}
	size = fread(data, 1, (size_t)PROG_MAX_BYTES + 1, in);
	if (ferror(in)) {
		fprintf(stderr, "fuzz_lifecycle: %s: cannot be read\n", path);
		status = 2;
	} else if (size > PROG_MAX_BYTES) {
		fprintf(stderr, "fuzz_lifecycle: %s: larger than 1 MiB\n", path);
		status = 2;
	} else if (is_text(data, size)) {
		fprintf(stderr,
			"fuzz_lifecycle: %s: is text, and this takes bytes: use faultline run\n",
			path);
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
	return status;
}

static int usage(FILE *out)
{
	fputs("usage: fuzz_lifecycle FILE...\n"
	      "Runs inputs of the fuzzers (bytes, not text; - is stdin). A finding prints its line "
	      "and its\n"
	      "program, and aborts.\n",
	      out);
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

/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of machine options, and that of fault sites. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <faultline/machine.h>

static int set(struct machine_config *cfg, const char *name, const char *value, char *why)
{
	return machine_config_set(cfg, name, strlen(name), value, strlen(value), why, 128);
}

static void test_defaults(void **state)
{
	struct machine_config cfg;
	char why[128] = "";

	(void)state;
	machine_config_init(&cfg);
	assert_int_equal(cfg.levels, 4);
	assert_int_equal(cfg.max_map_count, 65530);
	assert_int_equal(machine_config_check(&cfg, why, sizeof(why)), 0);
}

/* The constant in the table is what the text says. */
static void test_choices(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < nr_machine_options; i++) {
		const struct machine_option *opt = &machine_options[i];
		u64 bars = 0;

		assert_true(opt->def >= opt->min && opt->def <= opt->max);
		if (!opt->choices)
			continue;
		for (const char *p = opt->choices; *p; p++)
			bars += *p == '|';
		assert_int_equal(opt->max, bars);
		assert_int_equal(opt->min, 0);
	}
}

/* Each option prints what it reads, at both ends of its range, and refuses what lies outside. */
static void test_round_trip(void **state)
{
	struct machine_config cfg, other;
	char text[64], why[128];

	(void)state;
	for (unsigned int i = 0; i < nr_machine_options; i++) {
		const struct machine_option *opt = &machine_options[i];
		const u64 ends[] = {opt->min, opt->max};

		for (unsigned int e = 0; e < 2; e++) {
			machine_config_init(&cfg);
			machine_config_init(&other);
			memcpy((char *)&cfg + opt->offset, &ends[e], sizeof(u64));
			machine_config_print(&cfg, i, text, sizeof(text));
			assert_int_equal(set(&other, opt->name, text, why), 0);
			assert_memory_equal(&cfg, &other, sizeof(cfg));
		}
		if (opt->choices)
			continue;
		snprintf(text, sizeof(text), "%llu", (unsigned long long)opt->max + 1);
		other = cfg;
		assert_int_equal(set(&other, opt->name, text, why), -EINVAL);
		assert_memory_equal(&cfg, &other, sizeof(cfg));
		if (opt->min) {
			snprintf(text, sizeof(text), "%llu", (unsigned long long)opt->min - 1);
			assert_int_equal(set(&other, opt->name, text, why), -EINVAL);
		}
	}
}

static void test_refused(void **state)
{
	static const char *const bad[][2] = {
		{"level", "4"},
		{"levelss", "4"},
		{"", "4"},
		{"levels", ""},
		{"levels", "-4"},
		{"levels", "4 "},
		{"levels", "0x"},
		{"levels", "four"},
		{"levels", "1"},
		{"levels", "6"},
		{"mem", "0x10000g"},
		{"mem", "1e4"},
		{"mem", "18446744073709551680"},
		{"mem", "99999999999999999999999"},
		{"kernel_pmd", "privat"},
		{"kernel_pmd", "private|shared"},
		{"kernel_pmd", ""},
		{"kernel_pmd", "1"},
	};
	struct machine_config cfg, before;
	char why[128];

	(void)state;
	machine_config_init(&cfg);
	before = cfg;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		why[0] = '\0';
		assert_int_equal(set(&cfg, bad[i][0], bad[i][1], why), -EINVAL);
		assert_true(strlen(why) > 0);
		assert_null(strchr(why, '\n'));
		assert_memory_equal(&cfg, &before, sizeof(cfg));
	}
	assert_int_equal(set(&cfg, "mem", "0x1000", why), 0);
	assert_int_equal(cfg.mem, 4096);
	assert_int_equal(set(&cfg, "paravirt", "xen", why), 0);
	assert_int_equal(cfg.paravirt, 1);
	/* the lengths count, not the terminator */
	assert_int_equal(machine_config_set(&cfg, "levels=3", 6, "3,cpus", 1, why, 128), 0);
	assert_int_equal(cfg.levels, 3);
}

static void test_check(void **state)
{
	struct machine_config cfg;
	char why[128] = "";

	(void)state;
	machine_config_init(&cfg);
	cfg.cpus = 9;
	assert_int_equal(machine_config_check(&cfg, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "cpus"));
	cfg.cpus = 8;
	assert_int_equal(machine_config_check(&cfg, why, sizeof(why)), 0);
	cfg.paravirt = 1;
	cfg.kernel_pmd = 1;
	assert_int_equal(machine_config_check(&cfg, why, sizeof(why)), 0);
	cfg.levels = 3;
	assert_int_equal(machine_config_check(&cfg, why, sizeof(why)), -EINVAL);
	cfg.levels = 2;
	assert_int_equal(machine_config_check(&cfg, why, sizeof(why)), 0);
	cfg.mem = 786433;
	assert_int_equal(machine_config_check(&cfg, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "786432"));
	cfg.mem = 786432;
	assert_int_equal(machine_config_check(&cfg, why, sizeof(why)), 0);
	cfg.levels = 3;
	cfg.kernel_pmd = 0;
	assert_int_equal(machine_config_check(&cfg, why, sizeof(why)), 0);
}

static void test_sites(void **state)
{
	(void)state;
	for (unsigned int i = SITE_none + 1; i < FL_NR_SITES; i++) {
		const struct fl_site_info *site = &fl_sites[i];

		assert_true(site->class < FL_NR_CLASSES);
		assert_true(strlen(site->what) > 0);
		assert_true(!strncmp(site->fact, "F-", 2) ||
			    !strncmp(site->fact, "§", strlen("§")));
		assert_int_equal(fl_site_find(site->name, strlen(site->name)), i);
		assert_int_not_equal(fl_site_find(site->name, strlen(site->name) - 1), i);
	}
	assert_int_equal(fl_site_find("none", 4), SITE_none);
	assert_int_equal(fl_sites[SITE_dup_mmap_vma].class, FL_CLASS_slab);
	for (unsigned int i = 0; i < FL_NR_CLASSES; i++)
		assert_int_equal(fl_class_find(fl_class_names[i], strlen(fl_class_names[i])), i);
	assert_int_equal(fl_class_find("pages", 5), FL_NR_CLASSES);
	assert_int_equal(fl_class_find("", 0), FL_NR_CLASSES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),   cmocka_unit_test(test_choices),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_check),	   cmocka_unit_test(test_sites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

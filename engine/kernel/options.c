/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options of a machine as a table: text in, text out, ranges (facts §0.1). The rows come from
 * options.def, which also makes the fields.
 */
#include <stdio.h>
#include <string.h>

#include <faultline/machine.h>

/* Index of the last of up to four choices, as a constant: number of bars in the literal. */
#define BAR(s)	   __builtin_strchr(s, '|')
#define BAR2(s)	   (BAR(s) ? BAR(BAR(s) + 1) : NULL)
#define BAR3(s)	   (BAR2(s) ? BAR(BAR2(s) + 1) : NULL)
#define NR_BARS(s) ((BAR(s) != NULL) + (BAR2(s) != NULL) + (BAR3(s) != NULL))

const struct machine_option machine_options[] = {
#define OPT_U64(name, def, min, max, what) \
	{#name, offsetof(struct machine_config, name), def, min, max, NULL, what},
#define OPT_ENUM(name, def, choices, what) \
	{#name, offsetof(struct machine_config, name), def, 0, NR_BARS(choices), choices, what},
#include <faultline/options.def>
#undef OPT_U64
#undef OPT_ENUM
};

const unsigned int nr_machine_options = ARRAY_SIZE(machine_options);

static u64 *option_field(struct machine_config *cfg, const struct machine_option *opt)
{
	return (u64 *)(void *)((char *)cfg + opt->offset);
}

static u64 option_value(const struct machine_config *cfg, const struct machine_option *opt)
{
	u64 val;

	memcpy(&val, (const char *)cfg + opt->offset, sizeof(val));
	return val;
}

#define MAX_MEM_2LEVEL 786432u

void machine_config_init(struct machine_config *cfg)
{
	for (unsigned int i = 0; i < nr_machine_options; i++)
		*option_field(cfg, &machine_options[i]) = machine_options[i].def;
}

unsigned int machine_option_find(const char *name, size_t len)
{
	unsigned int i = 0;

	while (i < nr_machine_options && (strlen(machine_options[i].name) != len ||
					  memcmp(machine_options[i].name, name, len) != 0))
		i++;
	return i;
}

/* The idx-th of "a|b|c"; NULL past the last. */
static const char *choice_at(const char *choices, u64 idx, size_t *len)
{
	const char *p = choices;

	for (; idx > 0; idx--) {
		p = strchr(p, '|');
		if (!p)
			return NULL;
		p++;
	}
	*len = strcspn(p, "|");
	return p;
}

static int parse_choice(const char *choices, const char *text, size_t len, u64 *val)
{
	const char *choice;
	size_t choice_len;

	for (u64 i = 0; (choice = choice_at(choices, i, &choice_len)) != NULL; i++) {
		if (choice_len == len && !memcmp(choice, text, len)) {
			*val = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Decimal, or hexadecimal after 0x; nothing else before, between or behind. */
static int parse_number(const char *text, size_t len, u64 *val)
{
	unsigned int base = 10;
	u64 sum = 0;

	if (len > 2 && text[0] == '0' && text[1] == 'x') {
		base = 16;
		text += 2;
		len -= 2;
	}
	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		unsigned int digit = base;

		if (c >= '0' && c <= '9')
			digit = (unsigned int)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned int)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			digit = (unsigned int)(c - 'A') + 10;
		if (digit >= base || __builtin_mul_overflow(sum, (u64)base, &sum) ||
		    __builtin_add_overflow(sum, (u64)digit, &sum))
			return -EINVAL;
	}
	*val = sum;
	return 0;
}

/* How much of a piece of the user's text is quoted back. */
static int quoted(size_t len)
{
	return len < 40 ? (int)len : 40;
}

int machine_config_set(struct machine_config *cfg, const char *name, size_t name_len,
		       const char *value, size_t value_len, char *why, size_t why_len)
{
	const struct machine_option *opt = &machine_options[machine_option_find(name, name_len)];
	u64 val = 0;

	if (opt == &machine_options[nr_machine_options]) {
		snprintf(why, why_len, "unknown machine option '%.*s'", quoted(name_len), name);
		return -EINVAL;
	}
	if (opt->choices) {
		if (parse_choice(opt->choices, value, value_len, &val)) {
			snprintf(why, why_len, "%s is one of %s, not '%.*s'", opt->name,
				 opt->choices, quoted(value_len), value);
			return -EINVAL;
		}
	} else if (parse_number(value, value_len, &val) || val < opt->min || val > opt->max) {
		snprintf(why, why_len, "%s is a number from %llu to %llu, not '%.*s'", opt->name,
			 (unsigned long long)opt->min, (unsigned long long)opt->max,
			 quoted(value_len), value);
		return -EINVAL;
	}
	*option_field(cfg, opt) = val;
	return 0;
}

int machine_config_check(const struct machine_config *cfg, char *why, size_t why_len)
{
	for (unsigned int i = 0; i < nr_machine_options; i++) {
		const struct machine_option *opt = &machine_options[i];
		u64 val = option_value(cfg, opt);

		if (val < opt->min || val > opt->max) {
			snprintf(why, why_len, "%s is %llu, outside %llu to %llu", opt->name,
				 (unsigned long long)val, (unsigned long long)opt->min,
				 (unsigned long long)opt->max);
			return -EINVAL;
		}
	}
	/* An entry of 32 bits leads to 4 GiB, part of which is not memory. */
	if (cfg->levels == 2 && cfg->mem > MAX_MEM_2LEVEL) {
		snprintf(why, why_len, "levels=2 has room for mem=%u at most", MAX_MEM_2LEVEL);
		return -EINVAL;
	}
	/* Xen needs to see every PMD table that a PAE pgd points to, the kernel's included. */
	if (cfg->levels == 3 && cfg->paravirt && cfg->kernel_pmd) {
		snprintf(why, why_len, "paravirt=xen with levels=3 needs kernel_pmd=private");
		return -EINVAL;
	}
	return 0;
}

int machine_config_print(const struct machine_config *cfg, unsigned int i, char *buf, size_t len)
{
	const struct machine_option *opt = &machine_options[i];
	u64 val = option_value(cfg, opt);
	const char *choice = NULL;
	size_t choice_len;

	if (opt->choices)
		choice = choice_at(opt->choices, val, &choice_len);
	if (choice)
		return snprintf(buf, len, "%.*s", (int)choice_len, choice);
	return snprintf(buf, len, "%llu", (unsigned long long)val);
}

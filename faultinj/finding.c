/* SPDX-License-Identifier: GPL-2.0-only */
#include "subject.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

const char *const oracle_names[NR_ORACLES] = {
#define X(name) #name,
	ORACLES(X)
#undef X
};

/* Linux's numbers, written out: what a finding says must not depend on the host's headers. */
/* clang-format off */
#define ERRNOS(X) \
	X(1, EPERM) X(2, ENOENT) X(3, ESRCH) X(4, EINTR) X(5, EIO) X(6, ENXIO) X(7, E2BIG) \
	X(8, ENOEXEC) X(9, EBADF) X(10, ECHILD) X(11, EAGAIN) X(12, ENOMEM) X(13, EACCES) \
	X(14, EFAULT) X(15, ENOTBLK) X(16, EBUSY) X(17, EEXIST) X(18, EXDEV) X(19, ENODEV) \
	X(20, ENOTDIR) X(21, EISDIR) X(22, EINVAL) X(23, ENFILE) X(24, EMFILE) \
	X(25, ENOTTY) X(26, ETXTBSY) X(27, EFBIG) X(28, ENOSPC) X(29, ESPIPE) X(30, EROFS) \
	X(31, EMLINK) X(32, EPIPE) X(33, EDOM) X(34, ERANGE) X(35, EDEADLK) \
	X(36, ENAMETOOLONG) X(37, ENOLCK) X(38, ENOSYS) X(39, ENOTEMPTY) X(40, ELOOP) \
	X(61, ENODATA) X(62, ETIME) X(71, EPROTO) X(74, EBADMSG) X(75, EOVERFLOW) \
	X(87, EUSERS) X(95, EOPNOTSUPP) X(105, ENOBUFS) X(110, ETIMEDOUT) X(114, EALREADY) \
	X(115, EINPROGRESS) X(116, ESTALE) X(117, EUCLEAN) X(122, EDQUOT) X(125, ECANCELED) \
	X(130, EOWNERDEAD) X(131, ENOTRECOVERABLE) X(133, EHWPOISON) X(512, ERESTARTSYS) \
	X(513, ERESTARTNOINTR) X(514, ERESTARTNOHAND)
/* clang-format on */

static const struct {
	int err;
	const char *name;
} errnos[] = {
#define X(err, name) {err, #name},
	ERRNOS(X)
#undef X
};

const char *errno_name(int err)
{
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++) {
		if (errnos[i].err == err)
			return errnos[i].name;
	}
	return NULL;
}

int errno_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++) {
		if (strlen(errnos[i].name) == len && !memcmp(errnos[i].name, name, len))
			return errnos[i].err;
	}
	return 0;
}

/* "-ENOMEM", or the number when it has no name. */
static int print_errno(s64 value, const char *before, const char *after, char *buf, size_t len)
{
	const char *name = value < 0 && value > INT32_MIN ? errno_name((int)-value) : NULL;

	if (name)
		return snprintf(buf, len, "%s-%s%s", before, name, after);
	return snprintf(buf, len, "%s%" PRId64 "%s", before, value, after);
}

int outcome_print(const struct outcome *o, char *buf, size_t len)
{
	switch ((enum outcome_kind)o->kind) {
	case OUT_OK:
		return snprintf(buf, len, "0x%" PRIx64, (u64)o->value);
	case OUT_ERRNO:
		return print_errno(o->value, "", "", buf, len);
	case OUT_KILLED:
		return print_errno(o->value, "killed(", ")", buf, len);
	case OUT_SIGSEGV:
		return snprintf(buf, len, "SIGSEGV");
	case OUT_SIGBUS:
		return snprintf(buf, len, "SIGBUS");
	case OUT_OOM:
		return snprintf(buf, len, "OOM");
	case OUT_SKIPPED:
		return snprintf(buf, len, "skip");
	case OUT_BROKEN:
		return snprintf(buf, len, "broken");
	}
	return snprintf(buf, len, "outcome %u", o->kind);
}

/* With its terminator, so that neighbours cannot run into each other. */
static void hash_text(XXH64_state_t *state, const char *text)
{
	XXH64_update(state, text, strlen(text) + 1);
}

static u32 faults_kept(const struct finding *f)
{
	return f->nr_faults < FI_MAX_FAULTS ? f->nr_faults : FI_MAX_FAULTS;
}

const struct fi_point *finding_fault(const struct finding *f)
{
	return f->nr_faults ? &f->faults[faults_kept(f) - 1] : NULL;
}

void finding_bucket(const struct finding *f, char bucket[13])
{
	const struct fi_point *fault = finding_fault(f);
	XXH64_state_t state;

	XXH64_reset(&state, 0);
	hash_text(&state, oracle_names[f->oracle]);
	hash_text(&state, f->class_key);
	hash_text(&state, fault ? fl_sites[fault->site].name : "-");
	hash_text(&state, f->func[0] ? f->func : "-");
	snprintf(bucket, 13, "%012" PRIx64, XXH64_digest(&state) >> 16);
}

int finding_line(const struct finding *f, char *buf, size_t len)
{
	char faults[320] = "", op[16] = "end", bucket[13];
	u32 shown = faults_kept(f);
	size_t at = 0;

	if (shown)
		at = (size_t)snprintf(faults, sizeof(faults), " [injected: ");
	if (f->nr_faults > shown)
		at += (size_t)snprintf(faults + at, sizeof(faults) - at, "%" PRIu32 " before, ",
				       f->nr_faults - shown);
	for (u32 i = 0; i < shown && at < sizeof(faults); i++) {
		const struct fl_site_info *site = &fl_sites[f->faults[i].site];

		at += (size_t)snprintf(faults + at, sizeof(faults) - at, "%s%s@%s #%" PRIu32,
				       i ? ", " : "", fl_class_names[site->class], site->name,
				       f->faults[i].ordinal);
	}
	if (shown && at < sizeof(faults))
		snprintf(faults + at, sizeof(faults) - at, "]");
	if (f->op != UINT32_MAX)
		snprintf(op, sizeof(op), "%" PRIu32, f->op);
	finding_bucket(f, bucket);
	return snprintf(buf, len, "FAULTLINE: %s: %s at op %s %s%s bucket=%s",
			oracle_names[f->oracle], f->what, op, f->name, faults, bucket);
}

/* ---- what a run and a sweep say alike ------------------------------------------------------- */

static bool obs_same_place(const struct fl_obs *a, const struct fl_obs *b)
{
	return a->field == b->field && a->obj == b->obj && a->key == b->key;
}

static bool obs_holds(const struct fl_obs *list, u32 nr, u32 from, const struct fl_obs *o)
{
	for (u32 i = from; i < nr; i++) {
		if (obs_same_place(&list[i], o))
			return true;
	}
	return false;
}

static void print_field(const struct fl_obs *o, char *buf, size_t len)
{
	const struct fl_obs_field *f = &fl_obs_fields[o->field];

	if (o->key)
		snprintf(buf, len, "%s#%" PRIu32 "[0x%" PRIx64 "].%s", f->object, o->obj, o->key,
			 f->name);
	else
		snprintf(buf, len, "%s#%" PRIu32 ".%s", f->object, o->obj, f->name);
}

static void print_value(const struct fl_obs *o, char *buf, size_t len)
{
	snprintf(buf, len, o->val < 10000 ? "%" PRIu64 : "0x%" PRIx64, o->val);
}

void finding_of_change(struct finding *f, const struct fl_obs *before, u32 nr_before,
		       const struct fl_obs *after, u32 nr_after)
{
	const struct fl_obs *o, *old = NULL, *new = NULL;
	char field[64], from[24] = "absent", to[24] = "absent";
	u32 i = 0;

	*f = (struct finding){.oracle = ORACLE_digest, .func = "-"};
	while (i < nr_before && i < nr_after && obs_same_place(&before[i], &after[i]) &&
	       before[i].val == after[i].val)
		i++;
	if (i < nr_before)
		old = &before[i];
	if (i < nr_after)
		new = &after[i];
	if (!old && !new) {
		snprintf(f->what, sizeof(f->what),
			 "the failed operation changed the digest and nothing observable");
		snprintf(f->class_key, sizeof(f->class_key), "unobserved");
		snprintf(f->expected, sizeof(f->expected), "equal digests");
		snprintf(f->actual, sizeof(f->actual), "equal observations, digests differ");
		return;
	}
	if (old && new && !obs_same_place(old, new)) {
		/* One of them has moved on to later: the other has no partner. */
		if (obs_holds(after, nr_after, i, old))
			old = NULL;
		else
			new = NULL;
	}
	o = old ? old : new;
	print_field(o, field, sizeof(field));
	if (old)
		print_value(old, from, sizeof(from));
	if (new)
		print_value(new, to, sizeof(to));
	snprintf(f->what, sizeof(f->what), "the failed operation changed %s %s -> %s", field, from,
		 to);
	snprintf(f->class_key, sizeof(f->class_key), "%s.%s", fl_obs_fields[o->field].object,
		 fl_obs_fields[o->field].name);
	snprintf(f->expected, sizeof(f->expected), "%s", from);
	snprintf(f->actual, sizeof(f->actual), "%s", to);
}

void finding_of_outcome(struct finding *f, const struct outcome *out)
{
	char actual[64];

	*f = (struct finding){.oracle = out->kind == OUT_OK ? ORACLE_swallowed : ORACLE_expect,
			      .func = "-"};
	outcome_print(out, actual, sizeof(actual));
	if (out->kind == OUT_OK)
		snprintf(f->what, sizeof(f->what),
			 "a request was refused, yet the operation succeeded with %s", actual);
	else
		snprintf(f->what, sizeof(f->what), "the error %s is not declared for this fault",
			 actual);
	snprintf(f->class_key, sizeof(f->class_key), "%s",
		 out->kind == OUT_OK ? "success" : actual);
	snprintf(f->expected, sizeof(f->expected), "a declared error");
	snprintf(f->actual, sizeof(f->actual), "%s", actual);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* What tasks share beside the mm: by which flag, in which order it goes, what an exec does to it.
 */
#include <faultline/check.h>

#include "machine_fixture.h"

#define THREAD (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)

static struct task_struct *birth(struct fixture *fx, u32 flags)
{
	struct task_struct *child = NULL;

	assert_int_equal(do_fork(&fx->cx, flags, &child), 0);
	fixture_check(fx);
	return child;
}

static void test_by_flag(void **state)
{
	struct task_struct *p, *c;
	struct fixture fx;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	p = fx.init;

	c = birth(&fx, 0);
	assert_ptr_not_equal(c->cred, p->cred);
	assert_ptr_not_equal(c->files, p->files);
	assert_ptr_not_equal(c->fs, p->fs);
	assert_ptr_not_equal(c->sighand, p->sighand);
	assert_ptr_not_equal(c->signal, p->signal);
	assert_ptr_equal(c->nsproxy, p->nsproxy);
	assert_null(c->io_context);

	c = birth(&fx, CLONE_FILES);
	assert_ptr_equal(c->files, p->files);
	assert_ptr_not_equal(c->fs, p->fs);
	c = birth(&fx, CLONE_FS);
	assert_ptr_equal(c->fs, p->fs);
	assert_int_equal(atomic_read(&p->fs->users), 2);
	c = birth(&fx, CLONE_VM | CLONE_SIGHAND);
	assert_ptr_equal(c->sighand, p->sighand);
	assert_ptr_not_equal(c->signal, p->signal);
	c = birth(&fx, THREAD);
	assert_ptr_equal(c->signal, p->signal);
	assert_ptr_equal(c->cred, p->cred);
	assert_int_equal(atomic_read(&p->signal->sigcnt), 2);
	c = birth(&fx, CLONE_NEWNS);
	assert_ptr_not_equal(c->nsproxy, p->nsproxy);
	c = birth(&fx, CLONE_IO);
	assert_null(c->io_context);

	assert_int_equal(do_fork(&fx.cx, CLONE_NEWNS | CLONE_FS, &c), -EINVAL);
	fixture_destroy(&fx);
}

/* A context is shared when asked for, copied when it has a class, else not inherited. */
static void test_io_context(void **state)
{
	struct task_struct *p, *c;
	struct fixture fx;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	p = fx.init;

	assert_int_equal(sys_ioprio_set(&fx.cx, 4u << IOPRIO_CLASS_SHIFT), -EINVAL);
	assert_int_equal(sys_ioprio_set(&fx.cx, IOPRIO_CLASS_NONE << IOPRIO_CLASS_SHIFT | 1),
			 -EINVAL);
	assert_int_equal(sys_ioprio_set(&fx.cx, IOPRIO_CLASS_RT << IOPRIO_CLASS_SHIFT | 8),
			 -EINVAL);
	assert_null(p->io_context);
	assert_int_equal(sys_ioprio_set(&fx.cx, IOPRIO_CLASS_NONE << IOPRIO_CLASS_SHIFT), 0);
	c = birth(&fx, 0);
	assert_null(c->io_context);

	assert_int_equal(sys_ioprio_set(&fx.cx, IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT | 3), 0);
	c = birth(&fx, 0);
	assert_ptr_not_equal(c->io_context, p->io_context);
	assert_int_equal(c->io_context->ioprio, p->io_context->ioprio);
	c = birth(&fx, CLONE_IO);
	assert_ptr_equal(c->io_context, p->io_context);
	run_on(&fx.cx, 0, c);
	assert_int_equal(sys_ioprio_set(&fx.cx, IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT), 0);
	assert_int_equal(p->io_context->ioprio, IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* The dead keep their group and credentials until they are switched away from (facts §24). */
static void exit_in_order(bool parent_first)
{
	struct task_struct *first, *second;
	struct fixture fx;

	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	second = birth(&fx, THREAD | CLONE_FILES | CLONE_FS);
	first = fx.init;
	if (!parent_first) {
		first = second;
		second = fx.init;
	}
	run_on(&fx.cx, 0, first);
	do_exit(&fx.cx);
	assert_null(first->files);
	assert_null(first->fs);
	assert_null(first->nsproxy);
	assert_null(first->sighand);
	assert_ptr_equal(first->signal, second->signal);
	assert_ptr_equal(first->cred, second->cred);
	assert_int_equal(atomic_read(&second->files->count), 1);
	assert_int_equal(atomic_read(&second->signal->sigcnt), 2);
	fixture_check(&fx);

	run_on(&fx.cx, 0, second);
	assert_int_equal(atomic_read(&second->signal->sigcnt), 1);
	assert_int_equal(atomic_read(&second->cred->usage), 1);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

static void test_exit_orders(void **state)
{
	(void)state;
	exit_in_order(true);
	exit_in_order(false);
}

static void test_exec_unshares(void **state)
{
	const struct exec_image image = {.stack_pages = 1};
	struct files_struct *files;
	struct task_struct *p, *c;
	struct cred *cred;
	struct fixture fx;
	bool killed;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	p = fx.init;
	c = birth(&fx, CLONE_VM | CLONE_SIGHAND | CLONE_FILES | CLONE_FS);
	run_on(&fx.cx, 0, c);
	cred = c->cred;
	assert_int_equal(sys_execve(&fx.cx, &image, &killed), 0);
	assert_ptr_not_equal(c->files, p->files);
	assert_ptr_not_equal(c->sighand, p->sighand);
	assert_ptr_not_equal(c->cred, cred);
	assert_ptr_equal(c->fs, p->fs);
	fixture_check(&fx);

	/* alone, it has nothing to copy */
	files = c->files;
	assert_int_equal(sys_execve(&fx.cx, &image, &killed), 0);
	assert_ptr_equal(c->files, files);

	/* what a refused exec had unshared is shared again */
	c = birth(&fx, CLONE_FILES);
	for (unsigned int n = 1; n <= 5; n++) {
		fixture_arm(&fx, n);
		assert_true(sys_execve(&fx.cx, &image, &killed) < 0);
		assert_ptr_equal(c->files, fx.cx.curr->files);
		fixture_check(&fx);
	}
	fixture_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_flag),
		cmocka_unit_test(test_io_context),
		cmocka_unit_test(test_exit_orders),
		cmocka_unit_test(test_exec_unshares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

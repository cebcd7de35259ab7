/* SPDX-License-Identifier: GPL-2.0-only */
/* Stack growth, the limits that it and others meet, and the low placement of MAP_32BIT. */
#include "mm_fixture.h"

static enum access_result touch(struct fixture *fx, u64 page, u64 sp, bool write)
{
	u64 tag = 1;

	return access_user_sp(&fx->cx, fx_addr(page), sp, write, &tag);
}

static void fx_stack(struct fixture *fx, u64 from, u64 to, u32 prot)
{
	assert_int_equal(fx_mmap_flags(fx, from, to, prot, MAP_GROWSDOWN), 0);
}

static void test_growth(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;
	u64 stack_vm;
	s64 committed;

	(void)state;
	fx_create(&fx, NULL);
	mm = fx.cx.curr->mm;
	stack_vm = mm->stack_vm;
	committed = fx.m->vm_committed_as;
	fx_stack(&fx, 40, 42, RW);
	assert_int_equal(touch(&fx, 36, 0, true), ACCESS_OK);
	fx_expect(&fx, "36-42");
	assert_int_equal(mm->stack_vm, stack_vm + 6);
	assert_int_equal(fx.m->vm_committed_as, committed + 6);
	assert_int_equal(fx_vma(&fx, 36)->vm_pgoff, fx_addr(36) >> PAGE_SHIFT);
	/* nothing else grows, and nothing above does */
	fx_mmap(&fx, 20, 22, RW);
	assert_int_equal(touch(&fx, 19, 0, true), ACCESS_SIGSEGV);
	assert_int_equal(touch(&fx, 42, 0, true), ACCESS_SIGSEGV);
	/* not next to a neighbour that is no stack, but next to one that is */
	assert_int_equal(touch(&fx, 22, 0, true), ACCESS_SIGSEGV);
	assert_int_equal(touch(&fx, 23, 0, true), ACCESS_OK);
	fx_expect(&fx, "20-22 23-42");
	fx_stack(&fx, 60, 62, RW);
	fx_stack(&fx, 50, 52, RW);
	assert_int_equal(touch(&fx, 52, 0, true), ACCESS_OK);
	fx_check(&fx);
	fx_destroy(&fx);
}

/* 64 KiB and 32 words below the stack pointer, and not a byte more. */
static void test_stack_pointer(void **state)
{
	static const char *const machines[] = {"levels=4", "levels=3"};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(machines); i++) {
		u64 slack = 65536 + 32 * (i ? 4 : 8);
		struct fixture fx;

		fx_create(&fx, machines[i]);
		fx_stack(&fx, 40, 42, RW);
		assert_int_equal(touch(&fx, 20, fx_addr(20) + slack + 1, true), ACCESS_SIGSEGV);
		assert_int_equal(touch(&fx, 20, fx_addr(20) + slack, true), ACCESS_OK);
		fx_expect(&fx, "20-42");
		fx_destroy(&fx);
	}
}

static void test_refused(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, "limit_stack=40");
	fx_stack(&fx, 60, 62, RW);
	fx.fail[SITE_anon_vma_prepare_av] = true;
	assert_int_equal(touch(&fx, 59, 0, true), ACCESS_SIGSEGV);
	fx.fail[SITE_anon_vma_prepare_av] = false;
	fx.fail[SITE_expand_stack_acct] = true;
	assert_int_equal(touch(&fx, 59, 0, true), ACCESS_SIGSEGV);
	fx.fail[SITE_expand_stack_acct] = false;
	fx_expect(&fx, "60-62");
	fx.fail[SITE_anon_page] = true;
	assert_int_equal(touch(&fx, 59, 0, true), ACCESS_OOM);
	fx.fail[SITE_anon_page] = false;
	fx_expect(&fx, "59-62");
	assert_int_equal(touch(&fx, 21, 0, true), ACCESS_SIGSEGV);
	assert_int_equal(touch(&fx, 22, 0, true), ACCESS_OK);
	fx_expect(&fx, "22-62");
	fx_destroy(&fx);
}

/* What is locked grows within the limit of what may be. */
static void test_locked(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, "limit_memlock=4");
	assert_int_equal(fx_mmap_flags(&fx, 40, 42, RW, MAP_GROWSDOWN | MAP_LOCKED), 0);
	assert_int_equal(touch(&fx, 37, 0, true), ACCESS_SIGSEGV);
	assert_int_equal(touch(&fx, 38, 0, true), ACCESS_OK);
	assert_int_equal(fx.cx.curr->mm->locked_vm, 4);
	fx_expect(&fx, "38-42");
	fx_destroy(&fx);
}

/* Without a charge of its own a stack grows without: there would be nobody to give it back. */
static void test_no_account(void **state)
{
	struct fixture fx;
	s64 committed;

	(void)state;
	fx_create(&fx, NULL);
	committed = fx.m->vm_committed_as;
	fx_stack(&fx, 40, 42, PROT_READ);
	assert_int_equal(touch(&fx, 38, 0, false), ACCESS_OK);
	assert_int_equal(fx.m->vm_committed_as, committed);
	fx_expect(&fx, "38-42");
	/* it grows before anybody asks what the access was */
	assert_int_equal(touch(&fx, 37, 0, true), ACCESS_SIGSEGV);
	fx_expect(&fx, "37-42");
	fx_destroy(&fx);
}

static void test_guard_page(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, "stack_guard=page limit_stack=40");
	fx_stack(&fx, 60, 62, RW);
	assert_int_equal(touch(&fx, 61, 0, true), ACCESS_OK);
	fx_expect(&fx, "60-62");
	assert_int_equal(touch(&fx, 60, 0, true), ACCESS_OK);
	fx_expect(&fx, "59-62");
	assert_int_equal(touch(&fx, 55, 0, true), ACCESS_OK);
	fx_expect(&fx, "54-62");
	/* the limit does not count the guard */
	assert_int_equal(touch(&fx, 21, 0, true), ACCESS_SIGSEGV);
	assert_int_equal(touch(&fx, 22, 0, true), ACCESS_OK);
	fx_expect(&fx, "21-62");
	/* what abuts takes the guard's place */
	fx_mmap(&fx, 10, 21, PROT_NONE);
	assert_int_equal(touch(&fx, 21, 0, true), ACCESS_SIGSEGV);
	/* but the lower part of the same stack does not */
	assert_int_equal(fx_mprotect(&fx, 40, 62, PROT_READ), 0);
	assert_int_equal(touch(&fx, 40, 0, false), ACCESS_OK);
	/* population goes past it */
	assert_int_equal(sys_mlock(&fx.cx, fx_addr(21), PAGE_SIZE), 0);
	fx_expect(&fx, "10-21 21-22 22-40 40-62");
	fx_destroy(&fx);
}

static void test_limit_as(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;
	u64 room;

	(void)state;
	fx_create(&fx, "limit_as=100");
	mm = fx.cx.curr->mm;
	room = 100 - mm->total_vm;
	assert_int_equal(fx_mmap_flags(&fx, 0, room + 1, RW, 0), -ENOMEM);
	fx_mmap(&fx, 0, room, RW);
	assert_int_equal(fx_mmap_flags(&fx, room, room + 1, RW, 0), -ENOMEM);
	/* over what is there: as much as goes */
	fx_mmap(&fx, 2, room, PROT_READ);
	assert_int_equal(fx_mmap_flags(&fx, 2, room + 1, RW, 0), -ENOMEM);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + PAGE_SIZE), FX_BRK);
	assert_int_equal(sys_mremap(&fx.cx, fx_addr(0), PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE,
				    0),
			 -ENOMEM);
	assert_int_equal(fx_munmap(&fx, 0, 1), 0);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + PAGE_SIZE), FX_BRK + PAGE_SIZE);
	fx_destroy(&fx);
}

static void test_limit_data(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, "limit_data=2");
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + 2 * PAGE_SIZE + 1), FX_BRK);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + 2 * PAGE_SIZE), FX_BRK + 2 * PAGE_SIZE);
	assert_int_equal(sys_brk(&fx.cx, ~(u64)0), FX_BRK + 2 * PAGE_SIZE);
	fx_destroy(&fx);
}

/* Arguments may take a fourth of the stack, and it begins with no more than its limit. */
static void test_exec_limit(void **state)
{
	struct exec_image image = {.start_brk = FX_BRK, .stack_pages = 5};
	struct fixture fx;
	bool killed;

	(void)state;
	fx_create(&fx, "limit_stack=16");
	assert_int_equal(fx.cx.curr->mm->stack_vm, 16);
	assert_int_equal(sys_execve(&fx.cx, &image, &killed), -E2BIG);
	image.stack_pages = 4;
	assert_int_equal(sys_execve(&fx.cx, &image, &killed), 0);
	assert_int_equal(fx.cx.curr->mm->stack_vm, 16);
	fx_destroy(&fx);
}

static s64 map_low(struct fixture *fx, u64 addr, u64 pages)
{
	return sys_mmap(&fx->cx, addr, pages * PAGE_SIZE, PROT_READ,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_32BIT, NULL, 0);
}

static void test_32bit(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	assert_int_equal(map_low(&fx, 0, 2), 0x40000000);
	assert_int_equal(map_low(&fx, 0, 1), 0x40002000);
	assert_int_equal(map_low(&fx, 0x60000000, 1), 0x60000000);
	assert_int_equal(map_low(&fx, 0x60000000, 1), 0x40003000);
	assert_int_equal(map_low(&fx, 0x90000000, 1), 0x40004000);
	assert_int_equal(map_low(&fx, 0, 0x80001), -ENOMEM);
	assert_int_equal(map_low(&fx, 0, 0x20000), -ENOMEM);
	assert_int_equal(map_low(&fx, 0, 0x1ffff), 0x60001000);
	fx_destroy(&fx);

	fx_create(&fx, "levels=3");
	assert_true(map_low(&fx, 0, 1) > 0x80000000);
	fx_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growth),	   cmocka_unit_test(test_stack_pointer),
		cmocka_unit_test(test_refused),	   cmocka_unit_test(test_locked),
		cmocka_unit_test(test_no_account), cmocka_unit_test(test_guard_page),
		cmocka_unit_test(test_limit_as),   cmocka_unit_test(test_limit_data),
		cmocka_unit_test(test_exec_limit), cmocka_unit_test(test_32bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

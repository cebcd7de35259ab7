/* SPDX-License-Identifier: GPL-2.0-only */
/* A shared object that is no backend: it has no faultline_allocator(). */
int nothing_of_interest(void);
int nothing_of_interest(void)
{
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a task can do: the engine's system calls and accesses, as programs see them.
 *
 * All act for cx->curr, which must be alive, not waiting, and current on cx->cpu (run_on()). They
 * take no lock before and hold none after. On failure the semantic state is what it was, except as
 * facts §13.2 lists: a MAP_FIXED destination is a hole, a multi-VMA mprotect leaves a prefix
 * changed, extra splits, empty tables and a prepared anon_vma stay. Errno values are those of facts
 * §25.
 */
#ifndef FAULTLINE_SYSCALLS_H
#define FAULTLINE_SYSCALLS_H

#include <faultline/machine.h>
#include <faultline/types.h>

#define PROT_NONE      0u
#define PROT_READ      1u
#define PROT_WRITE     2u
#define PROT_EXEC      4u
#define PROT_SEM       8u	   /* accepted, without effect */
#define PROT_GROWSDOWN 0x01000000u /* mprotect: from the start of a stack */
#define PROT_GROWSUP   0x02000000u

#define MAP_SHARED	    0x01u
#define MAP_PRIVATE	    0x02u
#define MAP_SHARED_VALIDATE 0x03u /* EINVAL before 4.15 */
#define MAP_FIXED	    0x10u
#define MAP_ANONYMOUS	    0x20u
#define MAP_32BIT	    0x40u /* below 2 GiB; ignored without 64 bits */
#define MAP_GROWSDOWN	    0x100u
#define MAP_LOCKED	    0x2000u
#define MAP_NORESERVE	    0x4000u
#define MAP_POPULATE	    0x8000u
#define MAP_NONBLOCK	    0x10000u /* with POPULATE: only what is there; so nothing */
#define MAP_STACK	    0x20000u

#define MADV_NORMAL	 0u
#define MADV_RANDOM	 1u
#define MADV_SEQUENTIAL	 2u
#define MADV_WILLNEED	 3u
#define MADV_DONTNEED	 4u
#define MADV_FREE	 8u /* EINVAL before 4.5 */
#define MADV_REMOVE	 9u
#define MADV_DONTFORK	 10u
#define MADV_DOFORK	 11u
#define MADV_MERGEABLE	 12u
#define MADV_UNMERGEABLE 13u
#define MADV_HUGEPAGE	 14u
#define MADV_NOHUGEPAGE	 15u
#define MADV_DONTDUMP	 16u
#define MADV_DODUMP	 17u

#define MPOL_DEFAULT	0u
#define MPOL_PREFERRED	1u
#define MPOL_BIND	2u
#define MPOL_INTERLEAVE 3u
#define MPOL_LOCAL	4u

#define MLOCK_ONFAULT 1u
#define MCL_CURRENT   1u
#define MCL_FUTURE    2u
#define MCL_ONFAULT   4u

#define MAP_FIXED_NOREPLACE 0x100000u /* ignored before 4.17 */

#define MREMAP_MAYMOVE 1u
#define MREMAP_FIXED   2u

struct file;
struct mm_struct;
struct task_struct;

/*
 * mmap.c and mprotect.c; addresses and lengths in bytes. Return an address or 0, or a negative
 * errno; -EINVAL for a task without an mm. Locks: they take mmap_sem for writing. With the profile
 * of 4.7 or later munmap, mprotect, mremap, the mlock family and what madvise does under that lock
 * can also give -EINTR, with nothing done.
 */
/*
 * Errors, first that applies (facts §7.8): EINVAL unaligned offset; EBADF no file and not
 * anonymous; EINVAL len 0; ENOMEM len wraps; EOVERFLOW offset wraps; ENOMEM more than max_map_count
 * VMAs; ENOMEM no room, EINVAL unaligned MAP_FIXED; EINVAL neither or both of SHARED and PRIVATE;
 * for a file EACCES or EPERM by its mode; ENOMEM commit charge or VMA; ETXTBSY; ENODEV from
 * ->mmap(). For MAP_SHARED|MAP_ANONYMOUS instead of the file's: ENOMEM commit charge or dentry;
 * ENOSPC inode; ENFILE file of the object. EPERM also for a shared mapping of a sealed file that is
 * open to write.
 */
s64 sys_mmap(struct ctx *cx, u64 addr, u64 len, u32 prot, u32 flags, struct file *file, u64 offset);
/*
 * Shows other pages of the file, from pgoff on, in [start, start + size) of a shared mapping: both
 * are rounded down. As from 4.0 on it maps anew, with MAP_FIXED. 0, or: EINVAL prot is not 0, size
 * is 0 or wraps, pgoff wraps, or the range is not all of one shared mapping; and what sys_mmap()
 * may give, after which the range may be a hole. Of flags only MAP_NONBLOCK counts: do not fetch
 * pages.
 */
s64 sys_remap_file_pages(struct ctx *cx, u64 start, u64 size, u32 prot, u64 pgoff, u32 flags);
s64 sys_munmap(struct ctx *cx, u64 addr, u64 len);
s64 sys_mprotect(struct ctx *cx, u64 start, u64 len, u32 prot);
/*
 * Makes [addr, addr + old_len) new_len bytes long, in place or, with MREMAP_MAYMOVE, elsewhere;
 * with MREMAP_FIXED at new_addr, which is used by nothing else. The new address, or: EINVAL bad
 * flags, unaligned addr or new_addr, new_len 0, new_addr out of range or overlapping the old range;
 * EFAULT nothing is mapped at addr, or it is to grow and does not lie in one VMA, or that VMA may
 * not; ENOMEM charge, VMA, tables, room, or too many VMAs.
 *
 * As in 4.4: old_len 0 makes another mapping of the same object, or a fresh one if it is private;
 * equal lengths without MREMAP_FIXED succeed whatever is there. After a failure with MREMAP_FIXED
 * the destination, and what is cut off the old range, may be holes. A move succeeds although the
 * old range could not be cut out of its VMA: it stays mapped, without pages (facts §7.12, §19.6).
 */
s64 sys_mremap(struct ctx *cx, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr);
/*
 * Lock [start, start + len), rounded outwards, and fault it in; mlock2 with MLOCK_ONFAULT only what
 * is there and what comes later. 0, or: EINVAL flags, len wraps; EPERM the limit is 0; ENOMEM the
 * limit, a hole, too many VMAs, no memory for a VMA, memory without access; EAGAIN no memory for a
 * page. What lies before the place of the failure stays locked, and after EAGAIN all of it.
 * munlock: EINVAL, ENOMEM.
 */
s64 sys_mlock(struct ctx *cx, u64 start, u64 len);
s64 sys_mlock2(struct ctx *cx, u64 start, u64 len, u32 flags);
s64 sys_munlock(struct ctx *cx, u64 start, u64 len);
/*
 * MCL_CURRENT locks what is mapped and faults it in as far as it can, MCL_FUTURE what will be
 * mapped. EINVAL flags; EPERM the limit is 0; ENOMEM the limit. MCL_ONFAULT alone unlocks all, as
 * in 4.4.
 */
s64 sys_mlockall(struct ctx *cx, u32 flags);
s64 sys_munlockall(struct ctx *cx);
/*
 * Advice about [addr, addr + len). 0, or: EINVAL unknown advice, unaligned addr, length or end that
 * wraps, DONTNEED and REMOVE of locked memory, REMOVE of private anonymous memory, DODUMP of a
 * special mapping, HUGEPAGE and NOHUGEPAGE of shared or special memory before 4.8, MERGEABLE
 * without the ksm option, FREE of what is not private anonymous memory or is locked; ENOMEM a hole,
 * all else done; EAGAIN too many VMAs, no memory for one or for a daemon's slot; EBADF WILLNEED of
 * what has no file; EACCES REMOVE of what is not shared and writable; EOPNOTSUPP REMOVE of a file.
 * What lies before the place of the failure has been done.
 */
s64 sys_madvise(struct ctx *cx, u64 addr, u64 len, u32 advice);
/*
 * The memory policy of [addr, addr + len), and of the caller; nodes has a bit for each, and those
 * that there are not do not count. No page moves. 0, or: EINVAL unknown mode, unaligned addr, end
 * that wraps, DEFAULT or LOCAL with nodes, BIND or INTERLEAVE without, or none of the nodes exists;
 * EFAULT a hole; ENOMEM a policy, a VMA or too many of them, and what lies before the place of the
 * failure has the new policy; ENOSYS without nodes.
 *
 * As in 4.4: a hole at the end of the range is only noticed behind the last VMA; and where the
 * default is asked for, only at the start.
 */
s64 sys_mbind(struct ctx *cx, u64 addr, u64 len, u32 mode, u64 nodes);
s64 sys_set_mempolicy(struct ctx *cx, u32 mode, u64 nodes);
/*
 * Puts the caller into memory cgroup 0 (the root), 1 or 2. What has been charged stays where it is.
 * 0; -EINVAL no such group; -ENOSYS without the memcg option. Source: facts §4.10, F-71.
 */
s64 sys_cgroup_attach(struct ctx *cx, u64 group);
/* Returns the current break; a refusal leaves it where it was. */
s64 sys_brk(struct ctx *cx, u64 brk);

enum access_result {
	ACCESS_OK,
	ACCESS_SIGSEGV,
	ACCESS_SIGBUS,
	ACCESS_OOM
};
/*
 * One load or store of user code: walks the tables, faults as needed. A store puts *tag into the
 * page, a load takes it out. Anything but ACCESS_OK leaves contents and *tag alone; it kills
 * nobody.
 */
enum access_result access_user(struct ctx *cx, u64 addr, bool write, u64 *tag);
/*
 * The same with a stack pointer: an access below a growing mapping lets it grow, unless it is more
 * than 64 KiB and 32 words below sp. access_user() does without that test (sp 0). A growth that is
 * refused, for whatever reason, is ACCESS_SIGSEGV; one that was made stays when the page cannot be
 * had.
 */
enum access_result access_user_sp(struct ctx *cx, u64 addr, u64 sp, bool write, u64 *tag);

/*
 * fork, vfork, clone: 0 with *child set, or a negative errno and no child: EINVAL flags that do not
 * fit (THREAD without SIGHAND, SIGHAND without VM, NEWNS with FS), EAGAIN too many tasks, ENOMEM,
 * ERESTARTNOINTR. Flags: CLONE_VM, VFORK, FILES, FS, SIGHAND, THREAD, NEWNS, IO. With CLONE_VFORK
 * the caller is in TASK_VFORK_WAIT until the child execs or exits. The child is not on a CPU yet.
 */
s64 do_fork(struct ctx *cx, u32 clone_flags, struct task_struct **child);
/*
 * The same; with CLONE_CHILD_CLEARTID the child has child_tid for what sys_set_tid_address() sets.
 */
s64 do_fork_tid(struct ctx *cx, u32 clone_flags, u64 child_tid, struct task_struct **child);
/*
 * When the caller leaves its address space, by exit or exec, and others still use it, 0 is stored
 * at addr; if that cannot be, nobody is told. Address 0 stops it. 0; -EINVAL: no mm. Source: facts
 * §4.6.
 */
s64 sys_set_tid_address(struct ctx *cx, u64 addr);
/*
 * A signal for the caller arrives, or has been dealt with: while one is pending a fork gives
 * ERESTARTNOINTR, and taking all locks of an mm, or swapoff, EINTR. Source: facts §12 F-29, F-75,
 * §20.
 */
void set_signal_pending(struct ctx *cx, bool pending);
/* A kernel thread: a task that never has an mm. It shares files and directories with the caller. */
s64 kernel_thread(struct ctx *cx, struct task_struct **child);

/* One segment of an image: private, file-backed when file is set. */
struct exec_segment {
	u64 start, len;
	u32 prot;
	struct file *file; /* the caller's reference stays the caller's */
	u64 offset;
};

struct exec_image {
	const struct exec_segment *segments;
	unsigned int nr_segments;
	u64 start_brk;	     /* 0: after the last segment */
	u64 stack_pages;     /* argument pages to fault in on the new stack, at least 1 */
	struct file *exe;    /* becomes exe_file; may be NULL */
	unsigned int binfmt; /* index of the machine's binary formats */
};

/*
 * Replaces the caller's image. 0; or a negative errno with the old image intact; or, past the point
 * of no return, a negative errno with *killed set: the caller has a new mm and must exit.
 * -ENOMEM; -EBUSY for a kernel thread that uses an mm; -ETXTBSY when a file of it is open for
 * writing; -E2BIG when the arguments are too long or a page of theirs cannot be had; -ENOEXEC when
 * the format's module gives no reference or a segment is malformed; -EINVAL when the image does not
 * fit below the stack; -EFAULT (killed) when the stack cannot grow. A vfork parent is woken at the
 * point of no return. Other tasks on the old mm stay there, but the other threads of the caller's
 * group are gone, also when it fails for want of signal handlers (-ENOMEM) or because of a core
 * dump (-EINTR; facts F-76), after which in addition the vfork parent is awake and the caller's
 * word of sys_set_tid_address() is 0. Source: facts §4.9, §13.2, §19.2, §25.
 */
s64 sys_execve(struct ctx *cx, const struct exec_image *image, bool *killed);
/*
 * Sets the I/O priority, class and level, of the caller and of all that share its io_context. 0;
 * -EINVAL for a class or level that there is not; -ENOMEM when it needs an io_context and there is
 * none to be had.
 */
s64 sys_ioprio_set(struct ctx *cx, u32 ioprio);
/* Ends cx->curr. It stays current, without an mm, until run_on() puts another task on the CPU. */
void do_exit(struct ctx *cx);
/*
 * The caller begins to dump its mm, as if a signal had ended it. All other tasks of the mm, but no
 * kernel threads, are killed and wait in the middle of their exit (TASK_PARKED) until
 * coredump_end(). Until then the caller may do nothing else. One of them that is stopped in the
 * middle of an exec gets EINTR there, and the caller is in TASK_DUMP_WAIT until it, too, has called
 * do_exit(). 0; -EINVAL: no mm of its own; -EBUSY: it is being dumped. Source: facts §23, A-71.
 */
s64 coredump_begin(struct ctx *cx);
/*
 * The dump is done: who waits for that exits, then the caller. As after do_exit() it stays current
 * until the next run_on(). 0, or -EINVAL: the caller dumps nothing.
 */
s64 coredump_end(struct ctx *cx);
/*
 * The OOM killer takes the caller: it exits, with all threads of its group and everybody who shares
 * its mm, kernel threads apart. As after do_exit() it stays current. 0, or -EINVAL and nobody is
 * killed: no mm of its own. Source: facts §23.
 */
s64 oom_kill(struct ctx *cx);

/*
 * Gives a file a new size in pages. 0, or -EINVAL for a file that is not open to write. What is
 * past the new end is unmapped in every mm, private copies included. Source: facts §23.
 */
s64 sys_ftruncate(struct ctx *cx, struct file *file, u64 pages);
/*
 * From now on nobody may map the file to share what is written to it. 0; -EPERM for a file that is
 * not open to write; -EBUSY while somebody has it mapped so.
 */
s64 sys_seal_write(struct ctx *cx, struct file *file);
/*
 * What reclaim does to the anonymous page of addr: it goes to swap, in every mm that maps it, or is
 * dropped if MADV_FREE has been there since the last store. 0,
 * also when none is in memory there; -EFAULT no VMA; -ENOSPC no free slot, or no swap; -EBUSY
 * locked in memory; -ENOMEM no continuation page: some mms may have a swap entry then and others
 * still the page. Source: facts §20.
 */
s64 sys_swap_out(struct ctx *cx, u64 addr);
/*
 * Brings everything back in and does without swap from now on. 0; -EINVAL there is none; -ENOMEM
 * not enough memory, -EINTR a signal is pending: part of it may be back in.
 */
s64 sys_swapoff(struct ctx *cx);
/*
 * An I/O context for nr requests; its ring is mapped at the address returned, by which it is named.
 * ctxp is the user's place for that name, and has to hold 0. -EFAULT ctxp is no memory to read and
 * write; -EINVAL not 0, nr 0 or too many for a ring; -EAGAIN too many for the machine; -ENOMEM
 * whatever else is missing, room for the ring included. -ENOSYS without the aio option, as for its
 * kin. Source: facts §10.2.
 */
s64 sys_io_setup(struct ctx *cx, u32 nr, u64 ctxp);
/*
 * Ends a context of the caller's mm when its requests have finished, and unmaps where its ring was
 * mapped last. -EINVAL: no context by that name.
 */
s64 sys_io_destroy(struct ctx *cx, u64 ctx_id);
/* Starts nr requests. How many were; -EAGAIN when not one: no room, no memory; -EINVAL. */
s64 sys_io_submit(struct ctx *cx, u64 ctx_id, u64 nr);
/* Up to nr requests finish, oldest first. How many did; -EINVAL. */
s64 sys_io_getevents(struct ctx *cx, u64 ctx_id, u64 nr);
/*
 * Who is asked for the pages that the caller's mm misses: its descriptor goes into a slot of the
 * machine, where whoever it is given to finds it; the calls below are made by anybody. As in 4.4:
 * only private anonymous memory, only what is missing; a fork inherits neither descriptor nor
 * registration, and who it belongs to is told of no fork, unmapping, move or discard.
 *
 * A fault on a registered page that is not there would wait for the page. Nobody can give it while
 * the one who runs waits, so it ends as one that may not wait does: SIGBUS.
 *
 * sys_userfaultfd(): 0; -ENOSYS without the uffd option; -EINVAL no mm, no such slot; -EBUSY slot
 * taken; -ENOMEM. All others: -EINVAL nothing in the slot. Source: facts §10.6.
 */
s64 sys_userfaultfd(struct ctx *cx, u64 slot);
/* The descriptor goes; what is registered with it is ordinary memory again. 0. */
s64 userfaultfd_close(struct ctx *cx, u64 slot);
/*
 * [start, start + len) is for the userfaultfd, or no more. 0, or: -EINVAL unaligned, empty or
 * beyond the mm, nothing mapped there, something that is not private anonymous memory, or
 * (unregister) is another's; -EBUSY (register) the same; -ENOMEM nothing mapped at start or above,
 * the mm has come to its end, or a VMA could not be split: then what lies before the place is done.
 */
s64 userfaultfd_register(struct ctx *cx, u64 slot, u64 start, u64 len);
s64 userfaultfd_unregister(struct ctx *cx, u64 slot, u64 start, u64 len);
/*
 * Puts a page at dst of the userfaultfd's mm: with what the caller has at src, or the page of
 * zeroes. 0, or: -EINVAL unaligned, beyond the mm, not registered, or the mm has come to its end;
 * -EEXIST there is one; -ENOMEM; -EFAULT src cannot be read.
 */
s64 userfaultfd_copy(struct ctx *cx, u64 slot, u64 dst, u64 src);
s64 userfaultfd_zeropage(struct ctx *cx, u64 slot, u64 dst);
/*
 * Not calls, but what probes do to the caller. uprobe_step(): one is hit, and its instruction is to
 * be stepped at the address returned; -ENOMEM, and the hit is as if it had not been.
 * uprobe_call(): a function func is entered whose return is to be seen; 0, or -ENOMEM, -EOVERFLOW
 * and nobody will see it, though the area may have been made. uprobe_return(): the innermost such
 * call returns; -EINVAL: from none. -ENOSYS without the uprobes option. Source: facts §10.3.
 */
s64 uprobe_step(struct ctx *cx);
s64 uprobe_call(struct ctx *cx, u64 func);
s64 uprobe_return(struct ctx *cx, u64 *func);
/* Writes LDT entry idx. 0, -EINVAL, -ENOMEM; -ENOSYS without the ldt option. */
s64 sys_modify_ldt(struct ctx *cx, u32 idx, u64 entry);

/*
 * Puts tsk (NULL: the idle task) on cpu and drops what the task before it left behind; a dead task
 * goes with that. cx->cpu and cx->curr follow. A task that is current elsewhere leaves that CPU to
 * its idle task. NULL also makes an idle CPU let go of a borrowed mm that nobody uses any more:
 * once done for every CPU, no lazy reference to a dead mm is left. Source: facts §4.12, §13.3.
 */
void run_on(struct ctx *cx, unsigned int cpu, struct task_struct *tsk);

/*
 * Holders of the caller's mm that outlive it, in slots of the machine. A notifier holds mm_count
 * and is told of every invalidation; a pin holds mm_users (get_task_mm()) or mm_count (an open file
 * of /proc). -EINVAL: no such slot, nothing in it to give back, or no mm to hold; -EBUSY: slot
 * taken, or a kernel thread works in its mm. notifier_register(): -ENOMEM, -EINTR; -ENOSYS without
 * the mmu_notifier option. Giving back may be the end of the mm. Source: facts §4.1, §4.2, §10.1.
 */
s64 notifier_register(struct ctx *cx, u64 slot);
s64 notifier_unregister(struct ctx *cx, u64 slot);
s64 mm_pin(struct ctx *cx, u64 slot, bool users);
s64 mm_unpin(struct ctx *cx, u64 slot);
/*
 * The caller, a kernel thread, works in the mm that a slot pins with mm_users: it accesses memory
 * and maps like a task of it. The slot cannot be given back meanwhile, and the thread neither exec
 * nor exit. 0; -EINVAL no kernel thread, no such slot, no mappings pinned by it, or no mm in use;
 * -EBUSY the thread uses one already, or another thread this slot. Source: facts §4.11.
 */
s64 kthread_use_mm(struct ctx *cx, u64 slot);
s64 kthread_unuse_mm(struct ctx *cx);

/* ---- by the bench, outside any task --------------------------------------------------------- */

/* The first task: no mm until it execs. Not subject to injection. NULL: no memory. */
struct task_struct *spawn_init(struct ctx *cx);
/* A file of `pages` pages. Not subject to injection. NULL: no memory. */
struct file *file_create(struct ctx *cx, u64 pages, u32 f_mode);
/* Drops the bench's reference. The page cache goes with the last one. */
void file_close(struct ctx *cx, struct file *file);
/* Frees the continuation pages if no slot is in use: like swapoff, but swap stays on. */
void free_swap_count_continuations(struct ctx *cx);
/* A module that is going gives no more references (try_module_get() fails). */
void module_set_going(struct machine *m, unsigned int binfmt, bool going);
/*
 * One step of the daemon that makes huge pages of small ones, on the caller's mm and the huge
 * page's range that addr lies in. 0, also when there is nothing to gather or the daemon has no slot
 * for the mm; -EINVAL no mapping that could have a huge page there; -ENOMEM, nothing done. Not a
 * system call. Source: facts §22.
 */
s64 khugepaged_step(struct ctx *cx, u64 addr);
/*
 * The daemons that go round the mms that have a slot (facts §4.13, §10.4) come to the next one; the
 * slot of the one before goes if its mm has ended or, for ksmd, has nothing mergeable. Pages are
 * not merged. Not system calls; they cannot fail.
 */
void ksmd_scan(struct ctx *cx);
void khugepaged_scan(struct ctx *cx);
/*
 * The daemon that looks for tasks which are not switched to any more notes of each how often it
 * was. 0, or -ENOSYS without the hung_task option. Not a system call. Source: notes 2.
 */
s64 khungtaskd_scan(struct ctx *cx);
/*
 * The kernel maps more of its half: the n-th top-level entry of it, counted from the lowest and
 * modulo their number, is there from now on, in every address space. 0, or -EEXIST.
 * Source: facts §14 notes.
 */
s64 kernel_map(struct ctx *cx, u64 n);
/* A new mm without a task (mm_alloc), and dropping it: what an aborted exec does. */
struct mm_struct *mm_alloc(struct ctx *cx);
void mmput(struct ctx *cx, struct mm_struct *mm);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The engine's structures (facts §1). Public to the checkers, to tests and to observers; changed
 * only by the engine. Page counts are in pages of 4096 bytes, addresses in bytes.
 */
#ifndef FAULTLINE_MM_TYPES_H
#define FAULTLINE_MM_TYPES_H

#include <faultline/machine.h>
#include <faultline/rbtree.h>
#include <faultline/types.h>

/* VMA flags, with the kernel's values (facts §0.2). */
#define VM_READ		0x00000001u
#define VM_WRITE	0x00000002u
#define VM_EXEC		0x00000004u
#define VM_SHARED	0x00000008u
#define VM_MAYREAD	0x00000010u
#define VM_MAYWRITE	0x00000020u
#define VM_MAYEXEC	0x00000040u
#define VM_MAYSHARE	0x00000080u
#define VM_GROWSDOWN	0x00000100u
#define VM_UFFD_MISSING 0x00000200u /* pages that are not there are for its userfaultfd to give */
#define VM_PFNMAP	0x00000400u
#define VM_DENYWRITE	0x00000800u
#define VM_LOCKED	0x00002000u
#define VM_IO		0x00004000u
#define VM_SEQ_READ	0x00008000u
#define VM_RAND_READ	0x00010000u
#define VM_DONTCOPY	0x00020000u
#define VM_DONTEXPAND	0x00040000u
#define VM_LOCKONFAULT	0x00080000u
#define VM_ACCOUNT	0x00100000u
#define VM_NORESERVE	0x00200000u
#define VM_DONTDUMP	0x04000000u
#define VM_SOFTDIRTY	0x08000000u
#define VM_MIXEDMAP	0x10000000u
#define VM_HUGEPAGE	0x20000000u
#define VM_NOHUGEPAGE	0x40000000u
#define VM_MERGEABLE	0x80000000u

#define VM_ACCESS_FLAGS		  (VM_READ | VM_WRITE | VM_EXEC)
#define VM_SPECIAL		  (VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP)
#define VM_LOCKED_CLEAR_MASK	  (~(VM_LOCKED | VM_LOCKONFAULT))
#define VM_INIT_DEF_MASK	  0u
#define VM_DATA_DEFAULT_FLAGS	  (VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)
#define VM_STACK_FLAGS		  (VM_DATA_DEFAULT_FLAGS | VM_GROWSDOWN | VM_ACCOUNT)
#define VM_STACK_INCOMPLETE_SETUP (VM_RAND_READ | VM_SEQ_READ)

#define MMF_INIT_MASK	   0x7ffu
#define MMF_DUMP_DEFAULT   0x00cu
#define MMF_VM_MERGEABLE   0x10000u /* ksmd has a slot for the mm */
#define MMF_VM_HUGEPAGE	   0x20000u /* khugepaged has one */
#define MMF_HAS_UPROBES	   0x80000u
#define MMF_RECALC_UPROBES 0x100000u /* after a fork: are there any in what was copied? */

/*
 * Fields named `seen` are working memory of the checkers (check/): counts and numbers of a walk.
 * They are no part of the state, hold garbage between two checks, and nothing else reads or sets
 * them.
 */

/* ---- pages and page tables ------------------------------------------------------------------ */

enum page_type {
	PAGE_FREE,
	PAGE_ANON, /* private content of some process */
	PAGE_FILE, /* in a page cache */
	PAGE_PGD,
	PAGE_PGD_USER, /* second pgd of a Xen-like mm */
	PAGE_P4D,
	PAGE_PUD,
	PAGE_PMD,
	PAGE_PTE,
	PAGE_ZERO,  /* the machine's one page of zeroes */
	PAGE_STACK, /* kernel stack of a task */
	PAGE_LDT,
	PAGE_GATHER,
	PAGE_TAIL,	/* of a huge page, all but its first */
	PAGE_HUGE_ZERO, /* the machine's one huge page of zeroes */
	PAGE_KMALLOC,	/* an array that lives within one call */
	PAGE_SWAP_CONT, /* higher digits of swap counts */
	PAGE_AIO,	/* a table of I/O contexts, or of the pages of a ring */
	PAGE_KERNEL,	/* the kernel's own, which a special mapping shows to users */
	NR_PAGE_TYPES
};

/*
 * An x86 page-table entry: frame number and bits. Entries of all levels have this form; on 2 levels
 * an entry in memory has the lower 32 bits alone, and so no NX.
 */
typedef u64 pte_t;
#define _PAGE_PRESENT  ((u64)1 << 0)
#define _PAGE_RW       ((u64)1 << 1)
#define _PAGE_USER     ((u64)1 << 2)
#define _PAGE_ACCESSED ((u64)1 << 5)
#define _PAGE_DIRTY    ((u64)1 << 6)
#define _PAGE_PSE      ((u64)1 << 7) /* leads to a huge page, not to a table */
#define _PAGE_PROTNONE ((u64)1 << 8) /* there, but nobody may touch it; never with PRESENT */
#define _PAGE_SPECIAL  ((u64)1 << 9) /* counts no page: that of zeroes, or a frame by its number */
#define _PAGE_NX       ((u64)1 << 63)
#define _PAGE_PFN_MASK ((((u64)1 << 52) - 1) & PAGE_MASK)

static inline bool pte_none(pte_t e)
{
	return e == 0;
}

static inline bool pte_present(pte_t e)
{
	return e & (_PAGE_PRESENT | _PAGE_PROTNONE);
}

static inline u64 pte_pfn(pte_t e)
{
	return (e & _PAGE_PFN_MASK) >> PAGE_SHIFT;
}

/*
 * An entry that is neither present nor none names a slot of the swap area (facts §6.4, §20). Slot 0
 * is never given out, and no other bit is set.
 */
static inline pte_t swp_entry_to_pte(u32 slot)
{
	return (pte_t)slot << PAGE_SHIFT;
}

static inline u32 pte_to_swp_entry(pte_t e)
{
	return (u32)(e >> PAGE_SHIFT);
}

static inline bool is_swap_pte(pte_t e)
{
	return !pte_none(e) && !pte_present(e);
}

struct anon_vma;
struct mempolicy;
struct address_space;
struct mm_struct;

/*
 * A physical page. Descriptors live in the machine's mem_map and are reused; `mem` is the backend's
 * block: 4096 << order bytes for tables and kernel pages, a tag for user pages.
 */
#define PT_LINE_SHIFT 6u
struct page {
	u64 pfn;
	void *mem;
	atomic_t _refcount;
	s32 _mapcount; /* number of page-table entries that map it */
	u8 type;       /* enum page_type */
	u8 order;
	bool mlocked;	/* user pages: kept, for a locked VMA maps it */
	u8 entry_shift; /* tables: log2 of the bytes of an entry, 2 or 3 */
	u8 memcg;	/* PAGE_ANON: group that it is charged to plus 1, 0: not charged */
	bool lazyfree;	/* PAGE_ANON: reclaim may drop it where no entry is dirty */
	bool dirty;	/* PAGE_FILE: reading it in again would not give what it holds */
	u32 swap;	/* PAGE_ANON: slot that it is the swap cache of, 0: none */
	u16 nr_entries; /* tables: entries that are not none, kept by pt_set() */
	u64 lines;	/* tables: lines of 64 bytes that have entries, or had; by pt_set() */
	u64 sum;	/* tables: of pt_entry_hash() of its entries; by pt_set() */
	gfp_t gfp;	/* of the request, handed back on free */
	pgoff_t index;	/* user pages: offset in the object, as a linear page index */
	struct anon_vma *anon_vma;     /* PAGE_ANON */
	struct address_space *mapping; /* PAGE_FILE */
	struct rb_node cache_node;     /* PAGE_FILE: in mapping->page_tree */
	void *ptl;		       /* tables: lock object, with ptl_objects */
	fl_lock_t ptlock;	       /* tables: the lock, with split_ptlocks and no such object */
	struct page *pmd_huge_pte;     /* PMD tables with split_ptlocks: as of an mm without */
	struct mm_struct *pt_mm;       /* pgd: its mm, while on the pgd_list */
	struct page *pgd_user;	       /* pgd: second page, with paravirt=xen */
	struct list_head lru;	       /* pgd_list, or the free list of descriptors */
	/*
	 * A huge page is a block of frames in a row: PAGE_ANON with its order, then PAGE_TAILs.
	 * Once split they are pages of their own, but the block's memory goes back as one, with the
	 * last.
	 */
	struct page *block; /* first of the block that this is part of, or NULL */
	void *block_mem;    /* first: the block's memory */
	u32 block_live;	    /* first: its pages that are not free */
	u32 seen[2];
};

enum pt_level {
	PT_PTE,
	PT_PMD,
	PT_PUD,
	PT_P4D,
	PT_PGD,
	NR_PT_LEVELS
};

/* Geometry of the page tables, fixed per machine (facts §14). */
struct pt_geometry {
	unsigned int levels;
	enum pt_level below_pgd; /* level that a pgd entry points to */
	u8 shift[NR_PT_LEVELS];	 /* folded: as the level above */
	u8 entry_shift;		 /* log2 of the bytes of an entry */
	u16 ptrs[NR_PT_LEVELS];
	u16 kernel_boundary; /* first kernel entry of the pgd */
	u16 preallocated_pmds;
	bool shared_kernel_pmd; /* true only for PAE with the option; then no pgd_list */
	/* Only a hint above map_window puts a mapping there: on 5 levels it is below task_size. */
	u64 task_size, map_window, mmap_base, mmap_legacy_base, stack_top;
};

/* ---- files ---------------------------------------------------------------------------------- */

struct address_space {
	struct file_inode *host;
	struct rb_root page_tree; /* by page->index */
	u64 nr_pages;
	struct rb_root i_mmap; /* interval tree of VMAs, by pgoff range */
	s32 i_mmap_writable;
	fl_lock_t i_mmap_rwsem;
};

struct file_inode {
	u32 ino;
	u64 size;      /* in pages; a page past it is SIGBUS */
	u64 disk_size; /* pages from here on have never been written out: they are read in as zeroes
			*/
	bool sealed;   /* nobody may map it to share what is written: i_mmap_writable is -1 */
	bool shmem;    /* the object behind a shared anonymous mapping */
	bool aio_ring; /* of an I/O context, which holds its pages besides */
	bool noreserve; /* shmem: charged page by page, not as a whole */
	u64 charged;	/* shmem: pages of commit charge, given back at eviction */
	struct address_space i_data;
	s32 i_writecount; /* > 0 writers, < 0 mappings that deny writing */
	atomic_t i_count; /* open files */
	struct list_head inodes;
	u32 seen[5];
};

#define FMODE_READ  1u
#define FMODE_WRITE 2u
#define FMODE_EXEC  4u /* not on a noexec mount */

/* Name of an object that is in no directory: it holds the inode, and one file holds it. */
struct dentry {
	struct file_inode *d_inode;
};

struct file {
	atomic_t f_count;
	u32 f_mode;
	struct file_inode *f_inode;
	struct dentry
		*f_dentry; /* without a name, shmem or ring: owns the reference to the inode */
	struct userfaultfd_ctx *private_data; /* NULL: no userfaultfd's */
	bool opened; /* the bench still holds the reference that file_create() gave it */
	struct list_head files;
	u32 seen[2];
};

/* A module that owns a binary format. Going: no new reference is given. */
struct module {
	u32 id;
	bool going;
	s32 refcnt;
};

struct linux_binfmt {
	struct module *module;
};
#define NR_BINFMTS 2u

/* ---- special mappings (facts §7.17) ---------------------------------------------------------- */

#define SPECIAL_PAGES 2u

/*
 * What a mapping of kernel pages shows, from its first page on. Each page is held by the owner of
 * this struct, and by the entries that map it.
 */
struct vm_special_mapping {
	const char *name;
	struct page *pages[SPECIAL_PAGES + 1]; /* ends with NULL */
};

/* ---- VMAs and reverse maps ------------------------------------------------------------------ */

struct anon_vma {
	struct anon_vma *root;
	struct anon_vma *parent;
	fl_lock_t rwsem; /* only the root's is taken */
	atomic_t refcount;
	u32 num_children;	/* anon_vmas whose parent is this one; a root counts itself */
	u32 num_active_vmas;	/* VMAs whose anon_vma is this one */
	struct rb_root rb_root; /* interval tree of anon_vma_chains, by the VMA's pgoff range */
	u64 seq;		/* birth number, for observers; steers nothing */
	u32 seen[3];
};

struct anon_vma_chain {
	struct vm_area_struct *vma;
	struct anon_vma *anon_vma;
	struct list_head same_vma; /* on vma->anon_vma_chain, newest first */
	struct rb_node rb;	   /* in anon_vma->rb_root */
	pgoff_t rb_subtree_last;
};

struct vm_area_struct {
	/* What a search looks at comes first and fills one cache line. */
	u64 vm_start, vm_end; /* [start, end), page aligned */
	struct rb_node vm_rb;
	u64 rb_subtree_gap; /* largest gap below any VMA of the subtree, in bytes */
	struct vm_area_struct *vm_prev, *vm_next;
	struct mm_struct *vm_mm;
	u32 vm_flags;
	pte_t vm_page_prot; /* bits of a new entry, without the frame */
	struct {
		struct rb_node rb; /* in vm_file's i_mmap */
		pgoff_t rb_subtree_last;
	} shared;
	struct list_head anon_vma_chain;
	struct anon_vma *anon_vma;
	pgoff_t vm_pgoff;
	struct file *vm_file;				  /* counted */
	const struct vm_special_mapping *vm_private_data; /* NULL: no special mapping */
	struct mempolicy *vm_policy;			  /* NULL: that of the task */
	struct userfaultfd_ctx *vm_userfaultfd_ctx; /* not counted; with VM_UFFD_MISSING only */
};

/*
 * Where memory shall come from (facts §10.5). Not shared: each VMA and each task has a copy of its
 * own. A policy of MPOL_DEFAULT is none, NULL.
 */
struct mempolicy {
	atomic_t refcnt;
	u32 mode;  /* MPOL_* */
	u32 nodes; /* a bit each. MPOL_PREFERRED: one, or none for the node that a task is on */
};

static inline u64 vma_pages(const struct vm_area_struct *vma)
{
	return (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
}

static inline pgoff_t linear_page_index(const struct vm_area_struct *vma, u64 addr)
{
	return ((addr - vma->vm_start) >> PAGE_SHIFT) + vma->vm_pgoff;
}

/* No object of its own behind it, in 4.4: no vm_ops. */
static inline bool vma_is_anonymous(const struct vm_area_struct *vma)
{
	return !vma->vm_file && !vma->vm_private_data;
}

static inline bool is_cow_mapping(u32 flags)
{
	return (flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE;
}

/* ---- asynchronous I/O (facts §10.2) ---------------------------------------------------------- */

#define AIO_RING_PAGES 8u

/* A count of which each CPU keeps a part; here the parts are memory alone. */
struct percpu_ref {
	atomic_t count;
	void *pcpu;
};

struct aio_kiocb {
	struct kioctx *ki_ctx;
	struct list_head ki_list;
};

struct kioctx {
	struct percpu_ref users; /* 1 until it is killed */
	struct percpu_ref reqs;	 /* 1 until the last user has gone, and 1 per request in flight */
	void *cpu;		 /* parts of what is free in the ring, memory alone */
	bool dead;
	u64 user_id;		  /* what users know it by: the address of its ring */
	u64 mmap_base, mmap_size; /* where that is mapped, in bytes; size 0: not ours to unmap */
	u32 max_reqs;		  /* of the machine's quota */
	u32 nr_events;		  /* that the ring has room for */
	u32 id;			  /* slot of the mm's table */
	struct list_head active_reqs; /* in flight, oldest first */
	struct file *aio_ring_file;   /* counted */
	u32 nr_pages;
	struct page **ring_pages; /* each counted; internal_pages, or in page_array */
	struct page *internal_pages[AIO_RING_PAGES], *page_array;
	struct list_head free_work;
};

struct kioctx_table {
	struct page *page; /* that this lies in */
	u32 nr;
	struct kioctx *table[]; /* by id; NULL: free */
};

/* ---- userfaultfd (facts §10.6) --------------------------------------------------------------- */

/*
 * Who gives a process the pages that it misses. Lives as long as its file, and holds the struct of
 * the mm, not its mappings: the descriptor may be with somebody who outlives the process (B-17).
 */
struct userfaultfd_ctx {
	atomic_t refcount;    /* one, the file's */
	struct mm_struct *mm; /* counted: mm_count */
};

/* ---- uprobes (facts §10.3) ------------------------------------------------------------------- */

/* Where probed instructions are stepped out of line, from the first that is until mmput(). */
struct xol_area {
	struct vm_special_mapping xol_mapping; /* one page */
	u32 *bitmap;			       /* slots taken; the first one always */
	u32 slot_count;
	u64 vaddr; /* where it was mapped */
};

/* A call that is to be seen returning. */
struct return_instance {
	u64 func;
	struct return_instance *next; /* the call around it */
};

struct uprobe_task {
	struct return_instance *return_instances;
	u32 depth;
};

/* ---- mm_struct ------------------------------------------------------------------------------ */

enum {
	MM_FILEPAGES,
	MM_ANONPAGES,
	MM_SWAPENTS,
	NR_MM_COUNTERS
};

#define LDT_ENTRIES    8192u
#define LDT_ENTRY_SIZE 8u

struct ldt_struct {
	struct page *entries; /* one block, large enough for size entries */
	u32 size;	      /* in entries */
};

struct mm_context {
	fl_lock_t lock;
	struct ldt_struct *ldt;
	u64 vdso; /* address, 0: none */
};

struct core_state;
struct mmu_notifier_mm;

struct mm_struct {
	struct vm_area_struct *mmap; /* address-ordered list */
	struct rb_root mm_rb;
	u32 vmacache_seqnum;
	u64 mmap_base, mmap_legacy_base, task_size;
	u64 highest_vm_end;
	struct page *pgd;
	atomic_t mm_users; /* who may use the user mappings; 0 tears them down */
	atomic_t mm_count; /* who needs the struct; all users together hold one */
	u64 nr_ptes, nr_pmds;
	struct page *pmd_huge_pte; /* newest of the PTE tables deposited, one for each huge entry;
				      see huge_deposits() */
	s32 map_count;
	fl_lock_t page_table_lock;
	fl_lock_t mmap_sem;
	struct list_head mmlist; /* ring of mms that may hold swap entries */
	u64 hiwater_rss, hiwater_vm;
	u64 total_vm, locked_vm, pinned_vm, shared_vm, exec_vm, stack_vm; /* pages */
	u32 def_flags;
	u64 start_brk, brk, start_stack;
	s64 rss_stat[NR_MM_COUNTERS];
	struct linux_binfmt *binfmt;
	u32 cpu_vm_mask;      /* CPUs that have its tables loaded */
	u32 *cpu_vm_mask_var; /* with cpumask_offstack: where that is; else NULL */
	struct mm_context context;
	u32 flags; /* MMF_* */
	struct core_state *core_state;
	fl_lock_t ioctx_lock;
	struct kioctx_table *ioctx_table; /* NULL until there is a context */
	struct task_struct *owner;
	struct file *exe_file; /* counted */
	struct mmu_notifier_mm *mmu_notifier_mm;
	struct xol_area *xol_area; /* NULL until a probe is hit */
	bool tlb_flush_pending;
	/* Not the kernel's: every mm from allocate_mm() to free_mm() is on machine.mms. */
	struct list_head mms;
	u32 seen[3];
	u64 seen_peak[2]; /* largest rss and total_vm that a check has met */
};

/* ---- tasks ---------------------------------------------------------------------------------- */

#define CLONE_VM	     0x00000100u
#define CLONE_FS	     0x00000200u
#define CLONE_FILES	     0x00000400u
#define CLONE_SIGHAND	     0x00000800u
#define CLONE_VFORK	     0x00004000u
#define CLONE_THREAD	     0x00010000u
#define CLONE_NEWNS	     0x00020000u
#define CLONE_CHILD_CLEARTID 0x00200000u
#define CLONE_IO	     0x80000000u

#define PF_KTHREAD  0x00200000u
#define PF_EXITING  0x00000004u
#define PF_DUMPCORE 0x00000200u
#define PF_IDLE	    0x00000002u

#define VMACACHE_SIZE 4u

enum task_state {
	TASK_RUNNING,
	TASK_VFORK_WAIT, /* until its vfork child execs or exits */
	TASK_DUMP_WAIT,	 /* dumps core, until all whom it killed for that have parked */
	TASK_PARKED,	 /* exiting, in the middle of exit_mm() until a core has been dumped */
	TASK_DEAD,	 /* exited; the struct lives until it is switched away from and put */
};

/*
 * What tasks hold beside their mm, each kind from its own cache and gone with its last holder: a
 * new task has its own or one more reference to its parent's, as the clone flags say (facts §5).
 */
struct cred {
	atomic_t usage;
};

struct files_struct {
	atomic_t count;
};

struct fs_struct {
	atomic_t users;
};

struct sighand_struct {
	atomic_t count;
};

struct signal_struct {
	atomic_t sigcnt;
	bool group_dump; /* the group dies because its mm is dumped */
};

struct nsproxy {
	atomic_t count;
};

#define IOPRIO_CLASS_SHIFT 13u
#define IOPRIO_BE_NR	   8u

enum ioprio_class {
	IOPRIO_CLASS_NONE,
	IOPRIO_CLASS_RT,
	IOPRIO_CLASS_BE,
	IOPRIO_CLASS_IDLE,
};

struct io_context {
	atomic_t refcount;
	u32 ioprio; /* class and level; a child inherits one that has a class */
};

/* A core dump of an mm, from its dumper's sight: lives in that task. */
struct core_state {
	struct task_struct *dumper; /* NULL: none */
	u32 nr_threads;		    /* killed for it and not parked yet */
};

struct task_struct {
	struct list_head tasks; /* machine.tasks, in order of birth */
	u32 pid;
	u32 state;
	u32 flags;
	unsigned int cpu; /* where it runs */
	struct mm_struct *mm, *active_mm;
	struct vm_area_struct *vmacache[VMACACHE_SIZE];
	u32 vmacache_seqnum;
	struct page *stack;
	void *pid_obj;
	/* None of these in an idle task. cred and signal stay until the struct goes. */
	struct cred *cred;
	struct files_struct *files;
	struct fs_struct *fs;
	struct sighand_struct *sighand;
	struct signal_struct *signal;
	struct nsproxy *nsproxy;
	struct io_context *io_context;	  /* NULL until it is asked for */
	struct task_struct *real_parent;  /* NULL once it has gone */
	struct task_struct *vfork_parent; /* waits for this task, or NULL */
	atomic_t usage;			  /* 1 for being alive, 1 for being on a CPU */
	u64 min_flt, maj_flt, nvcsw, nivcsw;
	u64 last_switch_count; /* with hung_task: of switches, when khungtaskd came by last */
	u64 clear_child_tid;   /* user address that gets 0 when the task leaves its mm, 0: none */
	bool signal_pending;
	struct core_state core;
	bool memdie;	   /* OOM victim, until it has left its mm */
	bool fatal_signal; /* SIGKILL: the task exits before it does anything else */
	bool in_execve;
	struct mempolicy *mempolicy; /* NULL: the default */
	u32 memcg;		     /* memory cgroup; children are born into it */
	struct uprobe_task *utask;   /* NULL until a probe is hit */
};

struct pid {
	u32 nr;
};

struct exec_image;

/* State of one exec, from the system call's entry to its end (facts §4.9). */
struct linux_binprm {
	const struct exec_image *image;
	struct mm_struct *mm;	    /* being built; NULL once it is the task's */
	struct vm_area_struct *vma; /* its stack */
	struct cred *cred;	    /* being built; NULL once they are the task's */
	u64 vma_pages;		    /* argument pages lent to the caller's MM_ANONPAGES */
	u64 p;			    /* lowest argument byte */
};

/* ---- holders of an mm that are no tasks ------------------------------------------------------ */

/* Somebody who has translations of mm and is told of changes. A slot without mm is free. */
struct mmu_notifier {
	struct list_head hlist; /* on the mm's list; alone once the mm has released it */
	struct mm_struct *mm;	/* holds one mm_count */
	u32 open;		/* invalidations begun and not ended */
	u32 released;		/* calls of ->release() */
	u64 ranges;		/* invalidations so far */
};

/* From the first registration until the mm is freed. */
struct mmu_notifier_mm {
	struct list_head list; /* newest first */
	fl_lock_t lock;
};

/* get_task_mm() by somebody, or an open file of /proc. A slot without mm is free. */
struct mm_holder {
	struct mm_struct *mm;
	bool users;		  /* holds mm_users, else mm_count */
	struct task_struct *user; /* kernel thread that works in the mm meanwhile, or NULL */
};

#define NR_UFFDS     4u
#define NR_NOTIFIERS 4u
#define NR_MM_PINS   4u

/*
 * Daemons that go round the mms that have something for them. A flag of the mm says that it has a
 * slot, which holds one mm_count. The slot that the cursor is at belongs to the daemon: when its mm
 * ends meanwhile, the struct stays until the daemon has moved on (facts §4.13, §10.4).
 */
enum mm_daemon_id {
	KSMD,
	KHUGEPAGED,
	NR_MM_DAEMONS
};

struct mm_slot {
	struct mm_struct *mm;
	struct list_head mm_node; /* on the daemon's list */
};

struct mm_daemon {
	struct list_head mm_head; /* slots, in the order of the round */
	struct mm_slot *cursor;	  /* NULL between two rounds */
	fl_lock_t lock;
};

/*
 * A memory cgroup: a page is charged to that of its mm's owner when it is first mapped, until it is
 * freed (facts §4.10, F-71). Group 0 is the root, which has no limit and is not counted.
 */
struct mem_cgroup {
	u64 usage; /* pages */
};

#define NR_MEMCGS 3u

/* ---- swap (facts §6.4, §20) ----------------------------------------------------------------- */

/*
 * A slot's byte of the swap map: the low digit of its count, whether there are higher ones, and
 * whether the swap cache has it. Digit k of a slot is byte `slot % SWAP_MAP_PAGE` of the k-th
 * continuation page of its stretch of the map.
 */
#define SWAP_HAS_CACHE	0x40u
#define COUNT_CONTINUED 0x80u /* in a continuation page: there are still higher digits */
#define SWAP_MAP_PAGE	4096u

struct swap_slot {
	u64 tag;	   /* content on disk */
	struct page *page; /* the swap cache's; counted */
	u32 seen[2];
};

struct swap_info {
	bool on;
	u32 max;	      /* slots 1 .. max - 1 */
	u8 map_max, cont_max; /* largest digits, of the map and of a continuation page */
	u8 *swap_map;
	struct swap_slot *slots;
	struct list_head
		*continuations; /* one list of pages per stretch of the map, low digits first */
	u32 lowest_bit;		/* no free slot below */
	u32 inuse_pages;
	fl_lock_t lock;
};

/* ---- the machine ---------------------------------------------------------------------------- */

enum fl_cache {
	CACHE_mm_struct,
	CACHE_vm_area_struct,
	CACHE_anon_vma,
	CACHE_anon_vma_chain,
	CACHE_task_struct,
	CACHE_pid,
	CACHE_pgd,
	CACHE_ptl,
	CACHE_ldt_struct,
	CACHE_mmu_notifier_mm,
	CACHE_linux_binprm,
	CACHE_file,
	CACHE_inode,
	CACHE_dentry,
	CACHE_cred,
	CACHE_files_struct,
	CACHE_fs_struct,
	CACHE_sighand_struct,
	CACHE_signal_struct,
	CACHE_nsproxy,
	CACHE_io_context,
	CACHE_ksm_mm_slot,
	CACHE_khugepaged_mm_slot,
	CACHE_numa_policy,
	CACHE_kioctx,
	CACHE_kiocb,
	CACHE_percpu,
	CACHE_userfaultfd_ctx,
	CACHE_xol_area,
	CACHE_xol_bitmap,
	CACHE_uprobe_task,
	CACHE_return_instance,
	NR_CACHES
};

struct kmem_cache {
	const char *name;
	void *handle; /* the backend's */
	u64 live;     /* objects given out and not freed */
};

/* Descriptors are made in blocks of 2^MEM_MAP_ORDER pages. */
#define MEM_MAP_ORDER 2u
#define MEM_MAP_CHUNK ((u32)((PAGE_SIZE << MEM_MAP_ORDER) / sizeof(struct page)))

#define TLB_SIZE 32u

/* What a CPU remembers of a walk; the tables until the next flush of anything. */
struct tlb_entry {
	struct mm_struct *mm;
	u64 addr; /* of the page */
	pte_t pte;
	u32 tables[PT_PGD]; /* frames that the walk read, by level, 0: none */
};

struct tlb {
	u32 used;			    /* bit by slot; what the others hold is garbage */
	pte_t pdpte[4];			    /* PAE: user entries of the pgd, as of the last load */
	struct tlb_entry entries[TLB_SIZE]; /* slot by page number */
};

struct rq {
	struct task_struct *curr, *idle;
	struct mm_struct *prev_mm; /* dropped once the switch is over */
	struct mm_struct *loaded;  /* whose tables the CPU walks */
	struct tlb tlb;
	u64 tlb_flushes;
};

struct machine {
	struct machine_config cfg;
	const struct fl_allocator_ops *ops;
	void *inst;
	struct fl_seams seams;
	struct pt_geometry geo;

	struct kmem_cache caches[NR_CACHES];
	struct page **mem_map; /* chunks of MEM_MAP_CHUNK descriptors, by pfn */
	u32 nr_chunks, max_chunks;
	struct list_head free_pages; /* descriptors without a page */
	u64 nr_alloc[NR_PAGE_TYPES]; /* blocks given out, by type */
	u64 pages_in_use;	     /* in pages of order 0 */
	s64 nr_pagetable;	     /* NR_PAGETABLE: PTE tables with a constructed lock */
	s64 nr_mlock;		     /* NR_MLOCK: pages with mlocked set */

	struct list_head free_blocks; /* frames of huge pages that are free, by their first */
	u32 nr_blocks;		      /* of those and of the ones in use */
	struct page *zero_page;
	struct page *huge_zero_page; /* NULL until somebody reads where nothing is */
	struct vm_special_mapping vdso_mapping, vvar_mapping; /* the second has no pages: */
	struct page *vvar_page;	  /* its only one is mapped by its number. NULL without vdso */
	struct mm_struct init_mm; /* pgd is swapper_pg_dir */
	struct list_head pgd_list;
	fl_lock_t pgd_lock;
	struct list_head mms;
	u32 nr_mms;
	struct mmu_notifier notifiers[NR_NOTIFIERS];
	struct mm_holder pins[NR_MM_PINS];
	struct file *uffds[NR_UFFDS]; /* descriptors of userfaultfds, whoever has them; or NULL */
	struct mm_daemon daemons[NR_MM_DAEMONS];
	struct mem_cgroup memcgs[NR_MEMCGS];

	s64 vm_committed_as;		/* pages */
	u64 aio_nr;			/* max_reqs of all I/O contexts */
	struct list_head aio_free_work; /* contexts to be freed, once no lock is held */
	u64 nr_shmem; /* page-cache pages of shmem objects: no file holds their content */
	struct swap_info swap;
	fl_lock_t mmlist_lock; /* of the ring that starts at init_mm.mmlist */

	struct list_head tasks; /* alive and dying, not the idle ones */
	u32 nr_tasks;
	u32 next_pid;
	u64 next_anon_vma;
	struct rq rqs[8];

	struct list_head inodes, files;
	u32 next_ino, next_shmem_ino;
	struct module modules[NR_BINFMTS];
	struct linux_binfmt binfmts[NR_BINFMTS];

	u32 locks_held;
	u32 lock_classes; /* of the locks held, a bit each */
	u16 lock_depth[NR_LOCK_CLASSES];
	u64 check_alerts; /* what check_mm() found, must stay 0 */
	void *self_cache; /* the backend's cache that this struct is the object of */
};

#endif

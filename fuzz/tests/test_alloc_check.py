# SPDX-License-Identifier: GPL-2.0-only
"""Backends that are loaded: `alloc-check` finds each fault by name, and a backend that breaks is a
finding of `run` and `sweep`, not their end. The faults are those of engine/alloc/examples/faulty.c."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

FAULTLINE = sys.argv.pop(1)
EXAMPLES = sys.argv.pop(1)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE, FAULTY, EMPTY = (os.path.join(EXAMPLES, x + ".so") for x in ("example", "faulty", "empty"))

# fault, the check that has to find it, what it has to say
FAULTS = [
    ("order-9", "orders", "order 9 gives nothing"),
    ("order-11", "orders", "order 11 gives something"),
    ("page-misaligned", "page-align", "order 2 begins 4096 bytes past"),
    ("page-dirty", "page-zero", "is not zero"),
    ("page-half-zero", "page-zero", "byte 16 of a block of order 0"),
    ("page-short", "page-overlap", "live block of order 3 was overwritten"),
    ("pages-by-one", "page-counts", "2 pages after page_alloc(), and there are 3"),
    ("never-freed", "gives-back", "page_free() does not give back"),
    ("limit-by-two", "limit", "128 pages under a limit of 64"),
    ("count-then-refuse", "limit", "65 pages when there is no more"),
    ("flag-of-its-own", "unknown-flags", "gives nothing"),
    ("crash", "page-counts", "SIGSEGV in page_alloc()"),
    ("hang", "page-overlap", "no end after 2 s in page_alloc()"),
    ("object-misaligned", "object-align", "of 24 bytes is not aligned to 64"),
    ("object-dirty", "object-zero", "is not zero"),
    ("object-small", "object-overlap", "live object of 45 was overwritten"),
    ("free-scribbles", "object-overlap", "was overwritten"),
    ("object-counted", "object-counts", "20 objects after cache_free(), and there are 19"),
    ("destroy-anyway", "destroy-live-cache", "5 live objects says 0"),
    ("other-errno", "destroy-live-cache", "says -22, not -16"),
    ("any-size", "absurd-cache", "2^40 bytes"),
    ("one-for-all", "instances", "6 pages of one of three instances"),
    ("destroy-nothing", "gives-back", "destroy() does not give back"),
    ("drop-everything", "drop-caches", "after drop_caches()"),
    ("never-sound", "mix", "it is a bad day"),
    ("refill-ignored", "refill", "given all the same"),
    ("unlike", "alike", "in one instance and not in another"),
    ("empty-snapshot", "snapshot", "after restore()"),
]
# what is no backend at all
REFUSED = [
    ("half-a-snapshot", "and not all"),
    ("no-page-free", "lacks the function page_free()"),
    ("no-check", "lacks the function check()"),
    ("no-name", "has no name"),
    ("other-version", "is of version 2 of the contract, not 1"),
    ("no-version", "does not speak version 1"),
    ("short-table", "24 bytes"),
]
# crashes are judged by their signal, and a sanitizer has a handler of its own
ENV = dict(os.environ, ASAN_OPTIONS="handle_segv=0:allocator_may_return_null=1",
           MSAN_OPTIONS="handle_segv=0", TSAN_OPTIONS="handle_segv=0")


def call(*args, faulty=None):
    env = dict(ENV, FAULTY=faulty) if faulty else ENV
    return subprocess.run([FAULTLINE, *args], text=True, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=240)


def rows(r):
    return [json.loads(line) for line in r.stdout.splitlines()]


class AllocCheck(unittest.TestCase):
    def test_sound_ones(self):
        for name in ("malloc", "arena", "buddy", "guard", EXAMPLE, FAULTY):
            r = call("alloc-check", "--json", name)
            self.assertEqual(r.returncode, 0, (name, r.stdout, r.stderr))
            out = rows(r)
            self.assertEqual((out[-1]["type"], out[-1]["checks"], out[-1]["wrong"]),
                             ("total", len(out) - 1, 0))
            skipped = {x["name"] for x in out[:-1] if x["verdict"] == "skipped"}
            self.assertEqual("snapshot" in skipped, name not in ("arena", "buddy"))
            self.assertEqual("refill" in skipped, name != "buddy")

    def test_each_fault_by_name(self):
        for fault, check, says in FAULTS:
            with self.subTest(fault):
                r = call("alloc-check", "--json", "--only", check, "--seconds",
                         "2" if fault == "hang" else "60", FAULTY, faulty=fault)
                row, total = rows(r)
                if row["verdict"] == "skipped" and check == "gives-back":
                    continue  # a build with a sanitizer
                self.assertEqual((r.returncode, row["name"], row["verdict"], total["wrong"]),
                                 (1, check, "wrong", 1), r.stdout)
                self.assertIn(says, row["what"])

    # One fault is found; what has nothing to do with it is not called wrong.
    def test_no_others(self):
        r = call("alloc-check", "--json", FAULTY, faulty="destroy-anyway")
        self.assertEqual([x["name"] for x in rows(r)[:-1] if x["verdict"] == "wrong"],
                         ["destroy-live-cache"])
        r = call("alloc-check", FAULTY, faulty="destroy-anyway")
        self.assertIn("WRONG    destroy-live-cache", r.stdout)
        self.assertIn("1 wrong", r.stdout.splitlines()[-1])

    def test_no_backend(self):
        with tempfile.TemporaryDirectory() as d:
            text = os.path.join(d, "text.so")
            with open(text, "w") as f:
                f.write("no shared object\n")
            cases = [(EMPTY, None, "has no function faultline_allocator()"),
                     (text, None, "text.so"), (os.path.join(d, "none.so"), None, "No such file"),
                     (d, None, "not a file"), ("mine.so", None, "./mine.so")]
            cases += [(FAULTY, fault, says) for fault, says in REFUSED]
            for path, fault, says in cases:
                for args in (("alloc-check", path),
                             ("run", "--allocator", path, "corpus/seeds/exit.prog")):
                    r = call(*args, faulty=fault)
                    self.assertEqual((r.returncode, r.stdout), (2, ""), (args, fault, r.stderr))
                    self.assertIn(says, r.stderr)
                    self.assertEqual(len(r.stderr.splitlines()), 1, r.stderr)

    def test_usage(self):
        for args in ((), ("malloc", "arena"), ("--only", "none", "malloc"), ("--seconds", "0", "malloc"),
                     ("--nonsense", "malloc")):
            self.assertEqual(call("alloc-check", *args).returncode, 2, args)
        names = {line.split()[0] for line in call("alloc-check", "--list").stdout.splitlines()}
        self.assertEqual({check for _, check, _ in FAULTS} - names, set())
        self.assertEqual(names - {check for _, check, _ in FAULTS}, {"destroy-live"})

    def test_loading_breaks(self):
        for fault, says in (("crash-at-load", "SIGSEGV while"), ("exit-at-load", "exit with 0"),
                            ("hang-at-load", "no end of loading")):
            r = call("alloc-check", "--json", FAULTY, faulty=fault)
            self.assertEqual((r.returncode, rows(r)[0]["name"], rows(r)[-1]["wrong"]), (1, "load", 1))
            self.assertIn(says, rows(r)[0]["what"])
        r = call("run", "--allocator", FAULTY, "--json", "any.prog", faulty="crash-at-load")
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertEqual([(x["type"], x["oracle"], x["name"], x["allocator"]) for x in rows(r)],
                         [("finding", "backend", "load", FAULTY)])


class Running(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        # the stack of a task is a block of order 2; LDT entries are blocks that grow
        self.write("a.prog", "t0: mmap(w, 1p, rw, private|anon|fixed)\nt0: write(w, 1)\n")
        self.write("b.prog", "t0: yield()\n")

    def write(self, name, text):
        with open(os.path.join(self.dir.name, name), "w") as f:
            f.write("# faultline 1\n" + text)

    def test_example_runs(self):
        r = call("run", "--json", "--allocator", EXAMPLE, self.dir.name)
        self.assertEqual(r.returncode, 0, r.stderr)
        flat = call("run", "--json", self.dir.name)
        self.assertEqual([x.get("trace_hash") for x in rows(r)],
                         [x.get("trace_hash") for x in rows(flat)])

    def broken(self, command, *options):
        r = call(command, "--json", "--allocator", FAULTY, *options, self.dir.name, faulty="crash-zero")
        self.assertEqual(r.returncode, 1, r.stderr)
        return rows(r)

    # The machine may name a built-in one; --machine goes before the file, --allocator before both.
    def test_machine_names_it(self):
        self.write("a.prog", "machine alloc=buddy\n" +
                   "".join(f"t0: mmap(w+{2 * i}p, 1p, rw, private|anon|fixed)\n" for i in range(60)))
        path = os.path.join(self.dir.name, "a.prog")
        for args, asks in (((), True), (("--machine", "alloc=arena"), False),
                           (("--allocator", "malloc"), False),
                           (("--machine", "alloc=arena", "--allocator", "buddy"), True)):
            self.assertEqual(rows(call("run", "--json", *args, path))[-1]["refills"] > 0, asks, args)
        self.write("a.prog", "machine alloc=guard\nt0: yield() = 5\n")
        f = rows(call("run", "--json", path))[0]
        self.assertEqual((f["oracle"], f["allocator"]), ("expect", "guard"))
        self.assertNotIn("--allocator", f["reproduce"])
        self.write("a.prog", "machine alloc=mine\n")
        self.assertEqual(call("run", path).returncode, 2)

    # Standard output is the bench's, whatever the backend prints.
    def test_talks(self):
        for args in (("run", "--json", "--allocator", FAULTY, self.dir.name),
                     ("sweep", "--json", "--allocator", FAULTY, self.dir.name),
                     ("alloc-check", "--json", "--only", "orders", FAULTY)):
            r = call(*args, faulty="talks")
            self.assertEqual(r.returncode, 0, r.stderr[-500:])
            self.assertEqual(rows(r)[-1]["type"], "total")
            self.assertIn("a word from the backend", r.stderr)

    # A backend that has less memory than the others shows as another result of some operation.
    def test_against(self):
        self.write("a.prog", "t0: mmap(w, 400p, rw, private|anon|fixed)\n" +
                   "".join(f"t0: write(w+{i}p, 1)\n" for i in range(400)))
        args = ("run", "--json", "--allocator", FAULTY, "--against", "malloc", self.dir.name)
        r = call(*args)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        r = call(*args, faulty="poor")
        self.assertEqual(r.returncode, 1, r.stderr)
        found = [x for x in rows(r) if x["type"] == "finding"]
        self.assertEqual(len(found), 1)
        f = found[0]
        self.assertEqual((f["oracle"], f["name"], f["class"], f["expected"], f["actual"],
                          f["confirmed"]), ("backend", "write", "result", "0x0", "OOM", True))
        self.assertIn("--against malloc", f["reproduce"])
        self.assertEqual(call("run", "--against", "none", self.dir.name).returncode, 2)
        # also a plan is the same on both
        r = call("run", "--allocator", "guard", "--against", "buddy", "--fault", "any:3",
                 os.path.join(ROOT, "corpus/seeds"))
        self.assertEqual(r.returncode, 0, r.stdout[-2000:])

    # The machine of every program dies in the backend; each is a finding, and the total comes.
    def test_crash_is_a_finding(self):
        for command in ("run", "sweep"):
            out = self.broken(command)
            found = [x for x in out if x["type"] == "finding"]
            self.assertEqual(len(found), 2, out)
            for f in found:
                self.assertEqual((f["oracle"], f["func"], f["class"], f["confirmed"]),
                                 ("backend", "page_alloc", "SIGSEGV in page_alloc", True))
                self.assertIn("--allocator", f["reproduce"])
            self.assertEqual(len({f["bucket"] for f in found}), 1)
            self.assertEqual((out[-1]["type"], out[-1]["files"]), ("total", 2))


if __name__ == "__main__":
    unittest.main()

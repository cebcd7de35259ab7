# SPDX-License-Identifier: GPL-2.0-only
"""The faultline command as its users meet it: exit codes, bad input, JSON, children that die.

usage: test_cli.py FAULTLINE FUZZ_LIFECYCLE [unittest arguments]
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

FAULTLINE = FUZZ = None

GOOD = """# faultline 1
machine levels=3 kernel_pmd=private cpus=2
t0: r0 = mmap(0x0, 8p, rw, private|anon)
t0: write(r0+1p, 0x11)
t0: t1 = fork() !page:3 = -ENOMEM
t0: t2 = fork()
t2: write(r0+1p, 0x22)
t0: read(r0+1p) = 0x11
t2: exit()
"""
WRONG = "# faultline 1\nt0: yield()\nt0: yield() = -EPERM\nt0: yield()\n"


class Cli(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.dir = Path(self.tmp.name)
        self.good = self.write("good.prog", GOOD)
        self.wrong = self.write("wrong.prog", WRONG)

    def tearDown(self):
        self.tmp.cleanup()

    def write(self, name, data):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def cli(self, *args, code=0, stdin=None, **kw):
        """Runs the command; its exit code must be `code`."""
        r = subprocess.run([FAULTLINE, *map(str, args)], input=stdin, stdout=kw.pop("stdout", subprocess.PIPE),
                           stderr=subprocess.PIPE, timeout=120, **kw)
        self.assertEqual(r.returncode, code, f"{args}\n{r.stdout}\n{r.stderr}")
        return r

    def rows(self, *args, **kw):
        out = self.cli(*args, **kw).stdout.decode()
        rows = [json.loads(line) for line in out.splitlines()]
        for row in rows:
            self.assertEqual(row["v"], 1)
        self.assertEqual(rows[-1]["type"], "total")
        return rows

    def error(self, *args, code, says, **kw):
        """A failure is one line on stderr that names what is wrong."""
        err = self.cli(*args, code=code, **kw).stderr.decode()
        self.assertEqual(len(err.splitlines()), 1, err)
        for word in says if isinstance(says, list) else [says]:
            self.assertIn(str(word), err)


class Usage(Cli):
    def test_help(self):
        self.assertIn(b"usage: faultline", self.cli("--help").stdout)
        for command in ("run", "sweep", "sites", "min", "fmt", "gen", "import-strace"):
            out = self.cli(command, "--help").stdout
            self.assertIn(f"usage: faultline {command}".encode(), out)

    def test_wrong(self):
        self.cli(code=2)
        self.error("nonsense", code=2, says="nonsense")
        for command in ("diff-host", "bench", "alloc-check"):
            self.error(command, code=2, says=command)
        for command in ("run", "sweep", "min", "fmt"):
            self.error(command, code=2, says="FILE")
        self.error("run", "--pairs", self.good, code=2, says="--pairs")
        self.error("run", "--fault", code=2, says="--fault")
        self.error("run", "--fault", "paeg:1", self.good, code=2, says="paeg")
        self.error("run", "--check", "some", self.good, code=2, says="some")
        self.error("run", "--repeat", "0", self.good, code=2, says="--repeat")
        self.error("run", "--machine", "levels=7", self.good, code=2, says="levels")
        self.error("run", "--machine", "levels", self.good, code=2, says="levels")
        self.error("run", "--machine", "colour=3", self.good, code=2, says="colour")
        self.error("run", "--allocator", "none", self.good, code=2, says="none")
        self.error("run", "--allocator", "./mine.so", self.good, code=2, says="No such file")
        self.error("run", "--allocator", "mine.so", self.good, code=2, says="./mine.so")
        self.error("sweep", "--class", "page,nope", self.good, code=2, says="nope")
        self.error("sweep", "--mode", "spoon", self.good, code=2, says="spoon")
        self.error("fmt", "--to", "xml", self.good, code=2, says="xml")
        self.error("fmt", self.good, self.wrong, code=2, says="one FILE")
        self.error("fmt", "--slice", "5-2", self.good, code=2, says="--slice")
        self.error("fmt", "--slice", "x", self.good, code=2, says="--slice")
        self.error("fmt", "--dictionary", self.good, code=2, says="no FILE")
        self.error("gen", code=2, says="--seed")
        self.error("gen", "--seed", "x", code=2, says="--seed")

    def test_reserved(self):
        for line in ("t0: fork() @dup_mm:1 { t0: yield() }", "sched(t0, 1)", "op @point:n { ops }",
                     "t0: op @dup_mm:1 { t0: yield() }"):
            p = self.write("r.prog", f"# faultline 1\n{line}\n")
            self.error("fmt", p, code=2, says=[f"{p}:2", "not supported yet"])


class BadInput(Cli):
    def test_not_there(self):
        (self.dir / "e").mkdir()
        r = self.cli("run", self.dir / "none.prog", self.good, code=2)
        self.assertIn(b"none.prog", r.stderr)
        self.assertIn(b"good.prog", r.stdout)
        for command in ("run", "sweep"):
            rows = self.rows(command, "--json", self.dir / "none.prog", self.good, self.dir / "e", code=2)
            self.assertEqual([r.get("verdict") for r in rows], ["error", "error", "clean", None])
            self.assertIn("No such file", rows[0]["message"])
            self.assertIn("no programs", rows[1]["message"])
            self.assertEqual(rows[-1]["errors"], 2)
            self.assertIn(b"error    ", self.cli(command, self.dir / "none.prog", code=2).stdout)

    def test_not_a_file(self):
        """Nobody writes into it: whoever opened it would wait for ever."""
        fifo = self.dir / "fifo.prog"
        os.mkfifo(fifo)
        for path in (fifo, "/dev/zero"):
            self.error("fmt", path, code=2, says=[path, "not a regular file"])
            self.error("run", path, code=2, says=[path, "not a regular file"])

    def test_line_is_named(self):
        p = self.write("bad.prog", "# faultline 1\nt0: yield()\nt0: jump()\n")
        for command in ("run", "sweep"):
            r = self.cli(command, p, self.good, code=2)
            self.assertIn(f"{p}:3: ".encode(), r.stderr)
            self.assertIn(b"good.prog", r.stdout)
        self.error("fmt", p, code=2, says=f"{p}:3: ")

    def test_version(self):
        p = self.write("v.prog", "# faultline 9\nt0: yield()\n")
        self.error("fmt", p, code=2, says=[f"{p}:1", "version"])
        p = self.write("v", "# faultline 9\nt0: yield()\n")
        self.error("fmt", p, code=2, says=[f"{p}:1", "version"])

    def test_named_prog_is_text(self):
        p = self.write("x.prog", b"\x00\x01\x02")
        self.error("fmt", p, code=2, says=f"{p}:1")
        self.error("fmt", self.write("empty.prog", ""), code=2, says="empty.prog")

    def test_bytes_always_decode(self):
        rng = random.Random(4)
        for n in (0, 1, 7, 8, 1000, 1 << 20):
            p = self.write(f"b{n}", rng.randbytes(n))
            rows = self.rows("run", "--json", p)
            self.assertEqual(rows[0]["verdict"], "clean")

    def test_too_large(self):
        p = self.write("large", b"\x01" * ((1 << 20) + 1))
        self.error("fmt", p, code=2, says=["large", "1 MiB"])
        p = self.dir / "sparse.prog"
        with p.open("wb") as f:
            f.write(b"# faultline 1\n")
            f.truncate(100 << 20)
        self.error("fmt", p, code=2, says="sparse.prog")
        r = self.cli("run", p, self.good, code=2)
        self.assertIn(b"sparse.prog", r.stderr)

    def test_truncated(self):
        for cut in range(0, len(GOOD), 13):
            p = self.write("cut.prog", GOOD[:cut])
            r = subprocess.run([FAULTLINE, "run", p], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertIn(r.returncode, (0, 2), (cut, r.stderr))

    def test_directories(self):
        d = self.dir / "d"
        self.write("d/b.prog", GOOD)
        self.write("d/sub/a.prog", GOOD)
        self.write("d/sub/notes.txt", "not a program")
        (d / "link.prog").symlink_to(self.wrong)
        (d / "loop").symlink_to(d)
        rows = self.rows("run", "--json", d)
        self.assertEqual([r["file"] for r in rows[:-1]], [f"{d}/b.prog", f"{d}/sub/a.prog"])
        (self.dir / "e").mkdir()
        self.assertIn(b"no programs", self.cli("run", self.dir / "e", code=2).stderr)
        self.error("fmt", d, code=2, says="directory")

    def test_stdin(self):
        rows = self.rows("run", "--json", "-", stdin=GOOD.encode())
        self.assertEqual((rows[0]["file"], rows[0]["ops"]), ("-", 7))
        rows = self.rows("run", "--json", "-", stdin=WRONG.encode(), code=1)
        self.assertTrue(rows[0]["confirmed"])
        self.assertEqual(self.cli("fmt", "-", stdin=GOOD.encode()).stdout.decode(), GOOD)


class Output(Cli):
    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            for args in (["run", self.good], ["sweep", "--json", self.good], ["fmt", self.good], ["--help"],
                         ["gen", "--seed", "1"], ["sites", "--json", self.good], ["run", "--help"]):
                r = self.cli(*args, code=3, stdout=full)
                self.assertIn(b"No space left", r.stderr, args)

    def test_full_disk_finding(self):
        """Environment comes before a finding."""
        with open("/dev/full", "wb") as full:
            self.cli("run", self.wrong, code=3, stdout=full)

    def test_reader_gone(self):
        r, w = os.pipe()
        os.close(r)
        for command in ("run", "sweep"):
            self.assertEqual(self.cli(command, self.good, code=3, stdout=w).stderr, b"")
        os.close(w)

    def test_files(self):
        out = self.dir / "out.prog"
        self.cli("fmt", "-o", out, self.good)
        self.assertEqual(out.read_text(), GOOD)
        self.error("fmt", "-o", self.dir / "none" / "x", self.good, code=3, says="none")
        self.error("gen", "--seed", "1", "-o", self.dir, code=3, says=self.dir)
        self.error("fmt", "-o", "/dev/full", self.good, code=3, says="No space left")
        # in place: nothing is lost, whatever happens
        self.cli("fmt", "-o", self.good, self.good)
        self.assertEqual(self.good.read_text(), GOOD)
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), ["good.prog", "out.prog", "wrong.prog"])

    def test_odd_names(self):
        name = os.fsencode(self.dir) + b"/a \"\\\n\xff.prog"
        with open(name, "w") as f:
            f.write(GOOD)
        out = subprocess.run([FAULTLINE, "run", "--json", name], stdout=subprocess.PIPE, check=True).stdout
        row = json.loads(out.splitlines()[0])
        self.assertEqual(os.fsencode(row["file"]), name)


class Run(Cli):
    def test_clean(self):
        rows = self.rows("run", "--json", self.good)
        self.assertEqual(len(rows), 2)
        run, total = rows
        self.assertEqual((run["type"], run["file"], run["verdict"]), ("run", str(self.good), "clean"))
        self.assertEqual((run["ops"], run["delivered"], run["findings"]), (7, 1, 0))
        self.assertRegex(run["trace_hash"], r"^[0-9a-f]{16}$")
        self.assertEqual(total["met"], run["met"])

    def test_finding(self):
        rows = self.rows("run", "--json", self.wrong, self.good, code=1)
        self.assertEqual([r["type"] for r in rows], ["finding", "run", "run", "total"])
        f = rows[0]
        self.assertEqual((f["oracle"], f["op"], f["name"], f["plan"], f["faults"]), ("expect", 1, "yield", "", []))
        self.assertEqual((f["expected"], f["actual"], f["file"]), ("-EPERM", "0x0", str(self.wrong)))
        self.assertEqual((f["allocator"], f["confirmed"]), ("malloc", True))
        self.assertRegex(f["bucket"], r"^[0-9a-f]{12}$")
        self.assertTrue(f["build"])
        self.assertEqual(rows[1]["verdict"], "finding")
        self.assertEqual(rows[-1]["findings"], 1)
        text = self.cli("run", self.wrong, code=1).stdout.decode()
        first = text.splitlines()[0]
        self.assertRegex(first, r"^FAULTLINE: expect: .* at op 1 yield bucket=[0-9a-f]{12}$")
        self.assertIn(f["bucket"], first)
        self.assertIn(f"faultline run {self.wrong}", text)

    def test_finding_with_fault(self):
        p = self.write("f.prog", "# faultline 1\nt0: t1 = fork() !slab@dup_mmap_vma:1\nt0: yield() = skip\n")
        f = self.rows("run", "--json", p, code=1)[0]
        self.assertEqual(f["plan"], "op=0.slab@dup_mmap_vma:1")
        self.assertEqual(f["faults"], [{"class": "slab", "site": "dup_mmap_vma", "op": 0, "ordinal": 1}])
        self.assertIn("[injected: slab@dup_mmap_vma #1]", self.cli("run", p, code=1).stdout.decode())

    def test_plan(self):
        a = self.rows("run", "--json", self.good)[0]
        b = self.rows("run", "--json", "--fault", "op=3.slab@dup_mmap_vma:1", self.good)[0]
        c = self.rows("run", "--json", "--fault", "op=3.slab@dup_mmap_vma:1", self.good)[0]
        self.assertEqual((a["delivered"], b["delivered"]), (1, 2))
        self.assertNotEqual(a["trace_hash"], b["trace_hash"])
        self.assertEqual(b, c)
        self.assertIn(b"failed nothing", self.cli("run", "--fault", "page:9999", self.write(
            "n.prog", "# faultline 1\nt0: yield()\n")).stderr)

    def test_no_marks(self):
        self.assertEqual(self.rows("run", "--json", "--no-marks", self.good)[0]["delivered"], 0)
        row = self.rows("run", "--json", "--no-marks", "--fault", "op=3.slab@dup_mmap_vma:1", self.good)[0]
        self.assertEqual(row["delivered"], 1)

    def test_model(self):
        p = self.write("m.prog", "# faultline 1\nt0: yield()\nt0: kernel_map(1)\n")
        row = self.rows("run", "--json", p)[0]["model"]
        self.assertEqual({k: row[k] for k in ("agreed", "disagreed", "off")}, {"agreed": 1, "disagreed": 0, "off": 0})
        self.assertEqual((row["unchanged"], row["resynced"]), (1, 0))
        self.assertIn(b"Model: 1 ops agreed, ", self.cli("run", p).stdout)
        for command in ("run", "sweep"):
            self.assertEqual(set(self.rows(command, "--json", "--model", "off", p)[-1]["model"].values()), {0})
            self.assertIn(b"\nModel: off\n", self.cli(command, "--model", "off", p).stdout)
            self.assertIn(b"--model", self.cli(command, "--model", "none", p, code=2).stderr)

    def test_counts_skipped(self):
        p = self.write("s.prog", "# faultline 1\nt0: exit()\nt0: yield()\n")
        self.assertEqual(self.rows("run", "--json", p)[-1]["executed"], 1)
        self.assertIn(b"2 ops (1 executed, 1 skipped", self.cli("run", p).stdout)

    def test_reproduce(self):
        p = self.write("a b.prog", WRONG)
        row = self.rows("run", "--json", "--machine", "cpus=1", "--fault", "page:99", p, code=1)[0]
        self.assertEqual(row["reproduce"], f"{FAULTLINE} run '{p}' --fault page:99 --machine cpus=1")
        again = subprocess.run(row["reproduce"], shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(again.returncode, 1)
        self.assertIn(row["bucket"], again.stdout.decode())
        self.assertIn(f"  reproduce {FAULTLINE} run '{p}'\n", self.cli("sweep", p, code=1).stdout.decode())

    def test_machine(self):
        a = self.rows("run", "--json", self.good)[0]
        b = self.rows("run", "--json", "--machine", "levels=4,cpus=1", self.good)[0]
        self.assertNotEqual(a["met"], b["met"])
        for order in ("oldest", "shuffle:3"):
            self.rows("run", "--json", "--machine", f"teardown={order},cpus=1", self.good)
        self.error("run", "--machine", "teardown=never", self.good, code=2, says="shuffle:SEED")

    def test_allocators_agree(self):
        a = self.rows("run", "--json", self.good)[0]
        b = self.rows("run", "--json", "--allocator", "arena", self.good)[0]
        self.assertEqual(a, b)

    def test_repeat_and_isolation(self):
        a = self.rows("run", "--json", "--repeat", "20", self.good)[0]
        b = self.rows("run", "--json", "--no-isolate", self.good)[0]
        self.assertEqual((a.pop("runs"), b.pop("runs")), (20, 1))
        self.assertEqual(a, b)
        self.assertIn(b"20 of 20 runs agree", self.cli("run", "--repeat", "20", self.good).stdout)
        self.error("run", "--repeat", "x", self.good, code=2, says="from 1 to 1000000")
        self.rows("run", "--json", "--no-isolate", self.wrong, code=1)

    def test_trace(self):
        rows = self.rows("run", "--json", "--trace", self.good)
        ops = [r for r in rows if r["type"] == "trace"]
        self.assertEqual([r["op"] for r in ops], list(range(7)))
        self.assertEqual((ops[2]["result"], ops[3]["result"], ops[5]["result"]), ("-ENOMEM", "t2", "0x11"))
        failed = [p["site"] for p in ops[2]["points"] if p["failed"]]
        self.assertEqual(len(failed), 1)
        self.assertIn("!", self.cli("run", "--trace", self.good).stdout.decode())

    def test_trace_hash(self):
        h = self.rows("run", "--json", self.good)[0]["trace_hash"]
        self.assertIn(h, self.cli("run", "--trace-hash", self.good).stdout.decode())

    def test_bytes_mean_the_same(self):
        self.cli("fmt", "--to", "bytes", "-o", self.dir / "bytes", self.good)
        a = self.rows("run", "--json", self.good)[0]
        b = self.rows("run", "--json", self.dir / "bytes")[0]
        self.assertEqual((a["trace_hash"], a["met"]), (b["trace_hash"], b["met"]))
        # what a fuzzer expects is nobody's word
        self.cli("fmt", "--to", "bytes", "-o", self.dir / "w", self.wrong)
        self.rows("run", "--json", self.dir / "w")
        text = self.cli("fmt", "--no-expectations", self.wrong).stdout.decode()
        self.assertEqual(text, WRONG.replace(" = -EPERM", ""))


class Sweep(Cli):
    def test_counts(self):
        rows = self.rows("sweep", "--json", self.good)
        self.assertEqual([r["type"] for r in rows], ["sweep", "total"])
        for r in rows:
            self.assertEqual(r["met"], r["delivered"] + r["masked"])
            self.assertLessEqual(r["benign"], r["delivered"])
            self.assertEqual(r["findings"], 0)
            self.assertEqual(r["ops"], 7)
        self.assertGreater(rows[0]["delivered"], 30)
        self.assertGreater(rows[0]["executed_ops"], 30)
        self.assertIn("seconds", rows[-1])
        self.assertIn(b"dup_mmap_vma", self.cli("sweep", self.good).stdout)

    def test_classes_and_modes(self):
        every = self.rows("sweep", "--json", "--class", "all", self.good)[0]["met"]
        parts = [self.rows("sweep", "--json", "--class", c, self.good)[0]["met"]
                 for c in ("page", "slab", "ctor,hook", "acct", "intr", "limit", "refill", "bulk")]
        self.assertEqual(sum(parts), every)
        fork = self.rows("sweep", "--json", "--mode", "fork", self.good)[0]
        self.assertEqual((fork["met"], fork["delivered"], fork["masked"], fork["crashes"]), (every, every, 0, 0))
        replay = self.rows("sweep", "--json", "--mode", "replay", self.good)[0]
        self.assertEqual((replay["met"], replay["masked"]), (every, 0))

    def test_nothing_delivered_says_so(self):
        p = self.write("n.prog", "# faultline 1\nt0: yield()\n")
        self.assertIn(b"nothing was delivered", self.cli("sweep", p).stdout)
        self.assertNotIn(b"nothing was delivered", self.cli("sweep", self.wrong, code=1).stdout)

    def test_bad_expectation_is_found(self):
        rows = self.rows("sweep", "--json", self.wrong, code=1)
        self.assertEqual((rows[0]["type"], rows[0]["oracle"]), ("finding", "expect"))

    def test_allocators(self):
        # of these two only arena has snapshots, by which it needs fewer runs
        modes = ["--mode", "inplace,replay"]
        a = self.rows("sweep", "--json", *modes, self.good)[0]
        b = self.rows("sweep", "--json", "--allocator", "arena", *modes, self.good)[0]
        self.assertEqual(a, b)
        kept = self.rows("sweep", "--json", "--allocator", "arena", self.good)[0]
        self.assertGreater(kept["restored"], 0)
        self.assertEqual([kept[k] for k in ("met", "delivered", "pairs", "masked")],
                         [a[k] for k in ("met", "delivered", "pairs", "masked")])
        self.error("sweep", "--mode", "snapshot", self.good, code=2, says="arena", stdout=subprocess.DEVNULL)


class Sites(Cli):
    def test_table(self):
        rows = self.rows("sites", "--json", self.good)
        sites, total = rows[:-1], rows[-1]
        self.assertEqual(total["sites"], len(sites))
        self.assertEqual(total["reached"], sum(r["reached"] > 0 for r in sites))
        self.assertEqual(total["failed"], sum(r["failed"] > 0 for r in sites))
        self.assertEqual(total["explained"], sum(r["explained"] is not None for r in sites))
        for r in sites:
            self.assertLessEqual(r["contexts_failed"], r["contexts"])
            self.assertEqual(r["contexts"] > 0, r["reached"] > 0)
        self.assertIn(b"NOT FAILED", self.cli("sites", self.good).stdout)

    def test_accumulates(self):
        cov = self.dir / "cov"
        one = self.rows("sites", "--json", "--coverage", cov, self.good)
        shown = self.rows("sites", "--json", "--coverage", cov)
        self.assertEqual(one, shown)
        other = self.write("o.prog", "# faultline 1\nt0: modify_ldt(1, 2)\n")
        both = self.rows("sites", "--json", "--coverage", cov, other)
        self.assertGreater(both[-1]["reached"], one[-1]["reached"])
        self.error("sites", "--coverage", self.dir / "none", code=2, says="none")
        bad = self.write("bad", "# faultline coverage 1\nnonsense\n")
        self.error("sites", "--merge", bad, code=2, says=f"{bad}:2", stdout=subprocess.DEVNULL)
        self.error("sites", "--coverage", bad, code=2, says=f"{bad}:2", stdout=subprocess.DEVNULL)
        bad = self.write("bad", "something\n")
        self.error("sites", "--coverage", bad, code=2, says=f"{bad}:1", stdout=subprocess.DEVNULL)


    def test_coverage_adds_up(self):
        """Two machines merged are one that did both; two processes at once do not lose each other's."""
        other = self.write("other.prog", GOOD.replace("8p", "9p"))
        one, two, both, sum_ = (self.dir / n for n in ("one", "two", "both", "sum"))
        self.cli("sites", "--coverage", one, self.good)
        self.cli("sweep", "--coverage", two, other)
        self.cli("sites", "--coverage", both, self.good, other)
        merged = self.rows("sites", "--json", "--merge", one, two, "--coverage", sum_)
        self.assertEqual(both.read_text(), sum_.read_text())
        self.assertEqual(merged[-1]["contexts"], len(both.read_text().splitlines()) - 1)
        self.assertLessEqual(merged[-1]["contexts_verified"], merged[-1]["contexts_failed"])
        shared = self.dir / "shared"
        ps = [subprocess.Popen([FAULTLINE, "sweep", "--coverage", shared, p], stdout=subprocess.DEVNULL)
              for p in (self.good, other)]
        self.assertEqual([p.wait(timeout=120) for p in ps], [0, 0])
        self.assertEqual(shared.read_text(), both.read_text())
        # of an earlier version: nothing is known of retries
        old = self.write("old", "# faultline coverage 1\nanon_page write - - 3 2\n")
        row = next(r for r in self.rows("sites", "--json", "--coverage", old) if r.get("name") == "anon_page")
        self.assertEqual((row["reached"], row["failed"], row["verified"]), (3, 2, 0))
        self.assertIn(b"anon_page", self.cli("sites", "--contexts", "--coverage", old).stdout)
        # an exec past its point of no return is not tried again; what only a state with a fault has is said to be so
        new = self.write("new", "# faultline coverage 3\nanon_page write - - 3 2 2 1 0\npte_alloc_pte exec - - 3 2 0 1 2\n"
                         "cow_page write - - 3 0 0 0 0\ncow_page read - - 3 0 0 1 0\n")
        rows = {(r["site"], r["op"]): r["explained"] for r in self.rows("sites", "--json", "--contexts", "--coverage", new)
                if r["type"] == "context"}
        self.assertEqual(len(rows), 3)
        self.assertIn("over", rows["pte_alloc_pte", "exec"])
        self.assertIn("state", rows["cow_page", "write"])
        self.assertIsNone(rows["cow_page", "read"])
        self.assertEqual(self.rows("sites", "--json", "--coverage", new)[-1]["contexts_explained"], 2)

    def test_coverage_survives(self):
        """Whoever is killed, the file is whole, and has what was done up to a second before."""
        many = [self.write(f"m/{i}.prog", self.cli("gen", "--seed", i, "--ops", "60").stdout) for i in range(60)]
        cov = self.dir / "killed"
        p = subprocess.Popen([FAULTLINE, "sweep", "--coverage", cov, *many, *many, *many],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.time() + 60
        while not cov.exists() and time.time() < end and p.poll() is None:
            time.sleep(0.02)
        p.kill()
        p.wait()
        self.assertTrue(cov.exists())
        self.assertGreater(self.rows("sites", "--json", "--coverage", cov)[-1]["failed"], 20)
    def test_corpus_of_the_directory(self):
        self.error("sites", code=2, says="corpus", cwd=self.dir)
        self.write("corpus/seeds/a.prog", GOOD)
        self.assertGreater(self.rows("sites", "--json", cwd=self.dir)[-1]["reached"], 10)


class Programs(Cli):
    def test_fmt_is_canonical(self):
        text = self.cli("fmt", self.good).stdout
        self.assertEqual(text.decode(), GOOD)
        self.cli("fmt", "--to", "bytes", "-o", self.dir / "b", self.good)
        self.assertEqual(self.cli("fmt", self.dir / "b").stdout.decode(), GOOD)

    def test_gen(self):
        a = self.cli("gen", "--seed", "7", "--ops", "30").stdout
        self.assertEqual(a, self.cli("gen", "--seed", "7", "--ops", "30").stdout)
        self.assertNotEqual(a, self.cli("gen", "--seed", "8", "--ops", "30").stdout)
        self.assertEqual(sum(line.startswith(b"t") for line in a.splitlines()), 30)
        for seed in range(20):
            p = self.write("g.prog", self.cli("gen", "--seed", seed).stdout)
            self.rows("run", "--json", p)

    def test_slice(self):
        """What the operations that are left refer to is there, or something in its place."""
        out = self.cli("fmt", "--slice", "1-3", "--no-expectations", self.good).stdout.decode()
        self.assertTrue(out.endswith("cpus=2\nt0: write(w+1p, 0x11)\nt0: t1 = fork() !page:3\n"), out)
        self.assertEqual(self.cli("fmt", "--slice", "0-99", self.good).stdout, self.cli("fmt", self.good).stdout)

    def test_dictionary(self):
        lines = self.cli("fmt", "--dictionary").stdout.decode().splitlines()
        for line in lines[1:]:
            self.assertRegex(line, r'^\w+="(\\x[0-9a-f]{2}){16}"$')

    def test_reference(self):
        self.assertIn(b"| `mprotect` |", self.cli("fmt", "--ops").stdout)
        for option in (b"--ops", b"--no-expectations"):
            self.assertIn(option, self.cli("fmt", "--help").stdout)


class Min(Cli):
    """One operation too many, and `min` would be wrong: what is left is known to the line."""

    NOISE = "".join(f"t0: r{i + 1} = mmap(w+{3 * i + 90}p, 2p, rw, private|anon|fixed)\n" for i in range(12))

    def min(self, program, *args, **kw):
        out = self.cli("min", *args, self.write("m.prog", program), **kw).stdout.decode()
        return [x for x in out.splitlines() if not x.startswith("#")]

    def test_small(self):
        out = self.min("# faultline 1\nmachine cpus=2\nt0: r0 = mmap(w+10p, 16p, rwx, private|anon|fixed|noreserve)\n"
                       + self.NOISE + "t0: t1 = fork() !slab:b=100\nt0: write(r0+3p, 77)\nt1: exit()\n"
                       "t0: read(r0+3p) = 78\nt0: mprotect(r0, 2p, r)\n")
        self.assertEqual(out[-1], "t0: read(r0+3p) = 0x4e")
        self.assertEqual(len(out), 3)

    def test_keeps_the_fault(self):
        """The mark moves from the 15th request of its site to the first, as the mappings before go."""
        program = ("# faultline 1\nt0: r0 = mmap(w, 1p, rw, private|anon)\n" + self.NOISE
                   + "t0: t1 = fork() !slab@dup_mmap_vma:15 = -EAGAIN\nt0: yield()\n")
        self.assertEqual(self.min(program), ["t0: t1 = fork() !slab@dup_mmap_vma:1 = -EAGAIN"])

    def test_weaker_fault(self):
        out = self.min("# faultline 1\nt0: yield() !any:*\nt0: t1 = fork() !any:* = -EAGAIN\n")
        self.assertRegex(out[0], r"^t0: t1 = fork\(\) !\w+@\w+:1 = -EAGAIN$")

    def test_needs_no_fault(self):
        r = self.cli("min", self.write("n.prog", "# faultline 1\nt0: mm_alloc() !page:1\nt0: t1 = fork()\n"
                                       "t0: yield() = -EPERM\n"))
        self.assertIn(b"without any fault", r.stderr)
        self.assertTrue(r.stdout.endswith(b"\nt0: yield() = -EPERM\n"), r.stdout)

    def test_same_every_time(self):
        # the program is long enough to be cut in many ways
        text = self.cli("gen", "--seed", "4", "--ops", "150").stdout
        # early: the first task may not live to the end
        text = text.replace(b"\nt0:", b"\nt0: open(3p, r) = -EPERM\nt0:", 1)
        self.assertEqual(self.cli("min", "-", stdin=text).stdout, self.cli("min", "-", stdin=text).stdout)

    def test_other_ways_out(self):
        self.error("min", self.good, code=2, says="nothing is found")
        self.error("min", "--bucket", "xyz", self.good, code=2, says="--bucket")
        self.error("min", "--bucket", "0123456789ab", self.wrong, code=2, says="0123456789ab")
        self.error("min", self.dir, code=2, says=self.dir)
        bad = self.write("bad.prog", "# faultline 1\nt0: yeld()\n")
        self.error("min", bad, code=2, says=f"{bad}:2")

    def test_interrupted(self):
        """The best so far is written, also when it was stopped."""
        text = self.cli("gen", "--seed", "5", "--ops", "400").stdout.decode()
        # early: the first task may not live to the end
        text = text.replace("\nt0:", "\nt0: open(3p, r) = -EPERM\nt0:", 1)
        long, out = self.write("long.prog", text), self.dir / "out.prog"
        p = subprocess.Popen([FAULTLINE, "min", "-o", out, long], stderr=subprocess.PIPE)
        time.sleep(0.05)
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=60)
        self.assertIn(p.returncode, (0, -signal.SIGINT))
        if out.exists():
            self.assertIn("-EPERM\n", out.read_text())
        self.cli("min", "--seconds", "1", "-o", out, long)
        self.assertIn("-EPERM\n", out.read_text())


class Crashes(Cli):
    """A child that dies is a result: the others are still run, the total is still printed."""

    def start(self, *args):
        return subprocess.Popen([FAULTLINE, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def child_of(self, proc, deadline=20):
        end = time.time() + deadline
        while time.time() < end and proc.poll() is None:
            kids = Path(f"/proc/{proc.pid}/task/{proc.pid}/children").read_text().split()
            if kids:
                return int(kids[0])
            time.sleep(0.005)
        self.fail("no child was seen")

    def test_signal(self):
        p = self.start("run", "--json", "--repeat", "3000", self.good, self.wrong)
        time.sleep(0.02)
        os.kill(self.child_of(p), signal.SIGKILL)
        out, err = p.communicate(timeout=120)
        rows = [json.loads(x) for x in out.splitlines()]
        self.assertEqual(p.returncode, 1, err)
        crash = rows[0]
        self.assertEqual((crash["type"], crash["oracle"]), ("finding", "crash"))
        self.assertEqual((crash["what"], crash["file"]), ("SIGKILL", str(self.good)))
        # it was not the program's doing, and trying again has shown it
        self.assertFalse(crash["confirmed"])
        self.assertEqual([(r["type"], r.get("verdict")) for r in rows[1:]],
                         [("run", "finding"), ("finding", None), ("run", "finding"), ("total", None)])
        self.assertEqual((rows[-1]["files"], rows[-1]["findings"]), (2, 2))

    def stop_sweep(self, kill):
        """A sweep that takes a while, stopped by kill(process, child) once it has begun."""
        long = self.write("long.prog", self.cli("gen", "--seed", "7", "--ops", "1500").stdout)
        p = self.start("sweep", "--json", long)
        child = self.child_of(p)
        time.sleep(1)
        kill(p, child)
        out, err = p.communicate(timeout=200)
        # a long random program may have findings any day; they are not what is tested
        rows = [json.loads(x) for x in out.splitlines()]
        return p.returncode, [r for r in rows if r["type"] != "finding"], err

    def test_sweep_interrupted(self):
        code, rows, _ = self.stop_sweep(lambda p, _: p.send_signal(signal.SIGINT))
        self.assertEqual(code, -signal.SIGINT)
        self.assertEqual([r["type"] for r in rows], ["sweep", "total"])
        sweep, total = rows
        self.assertIn(sweep["verdict"], ("interrupted", "finding"))
        self.assertEqual(sweep["met"], sweep["delivered"] + sweep["masked"])
        self.assertEqual(sweep["not_tried"], sweep["masked"])
        self.assertTrue(total["interrupted"])

    def test_interrupt(self):
        p = self.start("run", "--json", "--repeat", "1000000", self.good, self.good)
        child = self.child_of(p)
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=60)
        self.assertEqual(p.returncode, -signal.SIGINT)
        self.assertEqual(json.loads(out.splitlines()[-1])["type"], "total")
        with self.assertRaises(ProcessLookupError):
            os.kill(child, 0)


class Harness(Cli):
    def test_replay(self):
        if b"usage: fuzz_lifecycle FILE" not in subprocess.run(
                [FUZZ, "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout:
            self.skipTest("a fuzzing engine is linked")
        self.cli("fmt", "--to", "bytes", "-o", self.dir / "b", self.good)
        r = subprocess.run([FUZZ, self.dir / "b", self.dir / "b"], stderr=subprocess.PIPE)
        lines = r.stderr.splitlines()
        self.assertEqual((r.returncode, lines[0]), (0, b"2 files replayed, no finding"))
        # twice what the command says of one
        model = self.rows("run", "--json", self.good)[0]["model"]
        self.assertIn(b"Model: %d ops agreed, %d were refused" % (2 * model["agreed"], 2 * model["followed"]), lines[1])
        self.assertEqual(subprocess.run([FUZZ], stderr=subprocess.PIPE).returncode, 2)
        r = subprocess.run([FUZZ, self.dir / "none"], stderr=subprocess.PIPE)
        self.assertEqual(r.returncode, 2)
        self.assertIn(b"none", r.stderr)
        self.assertIn(b"0 files replayed, no finding; 1 could not be", r.stderr)
        r = subprocess.run([FUZZ, self.good, self.dir / "b"], stderr=subprocess.PIPE)
        self.assertEqual(r.returncode, 2)
        self.assertIn(b"faultline run", r.stderr)
        self.assertIn(b"1 files replayed", r.stderr)


if __name__ == "__main__":
    FAULTLINE, FUZZ = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])

# SPDX-License-Identifier: GPL-2.0-only
"""`faultline bench engine` and `sweep`: rows as the contract says; a search that is not linear; identities."""

import json
import resource
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

FAULTLINE = sys.argv.pop(1)
ROOT = Path(__file__).resolve().parents[2]


def bench(*args):
    return subprocess.run([FAULTLINE, "bench", *args], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=240)


class Bench(unittest.TestCase):
    def test_rows(self):
        r = bench("engine", "--json", "--vmas", "100,20000", "--rounds", "5")
        self.assertEqual(r.returncode, 0, r.stderr)
        rows = {x["name"]: x for x in map(json.loads, r.stdout.splitlines())}
        self.assertEqual(list(rows), ["mmap_munmap.100", "mmap_munmap.20000", "mmap_touch_munmap.100", "fork_exit.10",
                                      "fork_exit.100", "fork_exit.1000", "fork_exit.vma", "fork_exit.page"])
        for row in rows.values():
            self.assertEqual(set(row), {"v", "type", "name", "value", "unit", "baseline", "ratio",
                                        "against"})
            self.assertEqual((row["v"], row["type"], row["unit"]), (1, "bench", "us"))
        for n in ("mmap_munmap.100", "mmap_munmap.20000"):
            self.assertGreater(rows[n]["value"], 0)
            self.assertAlmostEqual(rows[n]["ratio"], rows[n]["value"] / rows[n]["baseline"], delta=0.05)
        # 200 times the VMAs: a list would take 200 times as long
        self.assertLess(rows["mmap_munmap.20000"]["value"], 20 * rows["mmap_munmap.100"]["value"])

    def test_against_itself(self):
        r = bench("engine", "--json", "--vmas", "1000,60000", "--rounds", "2")
        self.assertEqual(r.returncode, 0, r.stderr)
        big = json.loads(r.stdout.splitlines()[1])
        self.assertEqual(big["against"], "mmap_munmap.1000")

    # Each figure stands beside malloc's, and what is kept beside what is made anew.
    def test_alloc(self):
        r = bench("alloc", "--json", "--rounds", "3")
        self.assertEqual(r.returncode, 0, r.stderr)
        rows = {x["name"]: x for x in map(json.loads, r.stdout.splitlines())}
        for figure in ("page", "tag", "block_of_4", "object", "machine", "program"):
            for backend in ("malloc", "arena", "buddy", "guard"):
                row = rows.pop(f"{figure}.{backend}")
                self.assertEqual(row["against"], figure + ".malloc")
                self.assertGreater(row["value"], 0)
                if backend == "malloc":
                    self.assertEqual((row["value"], row["ratio"]), (row["baseline"], 1.0))
        self.assertEqual({k: x["against"] for k, x in rows.items()},
                         {f"{what}.{k}": "program." + k for what in ("snapshot", "restore")
                          for k in ("arena", "buddy")})

    def test_sweep(self):
        with tempfile.TemporaryDirectory() as tmp:
            prog = Path(tmp) / "a.prog"
            prog.write_text("# faultline 1\nt0: r0 = mmap(w, 4p, rw, private|anon|fixed)\nt0: write(w, 1)\n")
            r = bench("sweep", "--json", "--ops", "30,60", "--rounds", "1", str(prog))
        self.assertEqual((r.returncode, r.stderr if "built with sanitizers" not in r.stderr else ""), (0, ""))
        rows = {x["name"]: x for x in map(json.loads, r.stdout.splitlines())}
        for kind in ("bounded", "growing"):
            for n in (30, 60):
                self.assertGreater(rows[f"{kind}.point.{n}"]["value"], 0)
                self.assertLess(rows[f"{kind}.digest.{n}"]["ratio"], 1)
                for identity in ("met", "executed"):
                    row = rows[f"{kind}.{identity}.{n}"]
                    self.assertGreater(row["value"], 10)
                    self.assertEqual(row["value"], row["baseline"])
        # even so short, running all for each point is far from a sweep
        self.assertGreater(rows["rerun.point.60"]["ratio"], 1)
        self.assertGreater(rows["corpus.sweep"]["ratio"], 1)
        self.assertEqual({"injector.bare", "injector.traced", "corpus.point"} - set(rows), set())

    # Programs that ask for as much as an input can: what one costs is bounded, and so is its memory.
    def test_hostile(self):
        r = bench("fuzz", "--json", "--rounds", "1", str(ROOT / "corpus/bench/hostile.txt"))
        self.assertEqual(r.returncode, 0, r.stderr)
        rows = {x["name"]: x for x in map(json.loads, r.stdout.splitlines())}
        self.assertEqual(rows["fuzz.input"]["against"], "the longest one")
        if "sanitizers" not in r.stderr:
            self.assertLess(rows["fuzz.input"]["baseline"], 1e6)
            self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, 512 << 10)

    def test_fuzz(self):
        r = bench("fuzz", "--json", "--rounds", "1", str(ROOT / "corpus/bench/frozen.txt"))
        self.assertEqual(r.returncode, 0, r.stderr)
        rows = {x["name"]: x for x in map(json.loads, r.stdout.splitlines())}
        self.assertEqual({"fuzz.input", "fuzz.op", "fuzz.full_checks"} |
                         {"fuzz.share." + x for x in ("decode", "reset", "engine", "digest", "checks", "model")}, set(rows))

    def test_usage(self):
        for args in ([], ["nonsense"], ["sweep", "--ops", "0"], ["sweep", "--ops", "1,x"], ["engine", "--vmas", "0"], ["engine", "--vmas", ""],
                     ["engine", "--vmas", "1000001"], ["engine", "--rounds", "0"],
                     ["engine", "--allocator", "none"], ["engine", "extra"],
                     ["alloc", "--allocator", "./none.so"], ["alloc", "extra"]):
            self.assertEqual(bench(*args).returncode, 2, args)
        self.assertEqual(bench("--help").returncode, 0)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0-only
"""The corpus on every backend: results, digests and traces agree; what differs is how often a backend
needs pages for itself, which is printed."""

import json
import os
import subprocess
import sys
import unittest

FAULTLINE = sys.argv.pop(1)
EXAMPLE = sys.argv.pop(1)
PROGRAMS = [d for d in ("corpus/seeds", "corpus/real", "corpus/regress") if os.path.isdir(d)]
BACKENDS = ["malloc", "arena", "buddy", "guard", EXAMPLE]
SAME = ("file", "ops", "executed", "verdict", "trace_hash", "met", "delivered", "findings")


def rows(*args, programs=PROGRAMS):
    r = subprocess.run([FAULTLINE, *args, "--json", *programs], text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=600)
    return r.returncode, [json.loads(line) for line in r.stdout.splitlines()], r.stderr


class Backends(unittest.TestCase):
    def agree(self, *options, check="off", programs=PROGRAMS):
        refills, first = {}, None
        for name in BACKENDS:
            code, out, err = rows("run", "--check", check, "--allocator", name, *options,
                                  programs=programs)
            self.assertEqual(code, 0, (name, err))
            runs = [{k: x[k] for k in SAME} for x in out if x["type"] == "run"]
            refills[name] = out[-1]["refills"]
            first = first or runs
            for a, b in zip(first, runs):
                self.assertEqual(a, b, f"{BACKENDS[0]} and {name}")
            self.assertEqual(len(first), len(runs))
        print("refill points:", ", ".join(f"{os.path.basename(k)} {v}"
                                          for k, v in refills.items()))
        self.assertGreater(refills["buddy"], 0)
        self.assertEqual([v for k, v in refills.items() if k != "buddy"], [0] * 4)

    def test_own_machines(self):
        self.agree()

    def test_four_cpus(self):
        self.agree("--machine", "cpus=4", check="touched", programs=PROGRAMS[:1])

    def test_faults(self):
        self.agree("--fault", "any:p=0.05/7", programs=PROGRAMS[:1])

    # What the backend asks for itself is failed as well, and nothing is left of it.
    def test_sweep_refills(self):
        code, out, err = rows("sweep", "--allocator", "buddy", "--class", "refill")
        self.assertEqual(code, 0, (out[:3], err))
        total = out[-1]
        self.assertGreater(total["met"], 100)
        self.assertEqual(total["met"], total["delivered"])
        print("refill points failed:", total["delivered"])


if __name__ == "__main__":
    unittest.main()

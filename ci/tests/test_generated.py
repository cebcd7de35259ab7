# SPDX-License-Identifier: GPL-2.0-only
"""Generated programs, swept: what no person would have written.

usage: test_generated.py FAULTLINE
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

FAULTLINE = sys.argv.pop(1)
PROGRAMS = 100
BATCH = 10


class Generated(unittest.TestCase):
    def test_sweep(self):
        seed, delivered, swarms = 0, 0, set()
        while seed < PROGRAMS:
            with tempfile.TemporaryDirectory() as tmp:
                for _ in range(BATCH):
                    seed += 1
                    prog = Path(tmp) / f"{seed}.prog"
                    subprocess.run([FAULTLINE, "gen", "--seed", str(seed), "--ops", str(12 + seed % 20), "-o", prog],
                                   check=True)
                    text = prog.read_text()
                    swarms.add(frozenset(line.split("(")[0].split()[-1] for line in text.splitlines()
                                         if line.startswith("t")))
                r = subprocess.run([FAULTLINE, "sweep", "--json", tmp], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self.assertEqual(r.returncode, 0, r.stdout.decode()[-3000:] + r.stderr.decode())
                total = json.loads(r.stdout.splitlines()[-1])
                self.assertEqual((total["files"], total["masked"] - total["pruned"]), (BATCH, 0))
                delivered += total["delivered"]
        self.assertGreater(delivered, 100)
        # programs differ in what they consist of
        self.assertGreater(len(swarms), seed * 3 // 4)


if __name__ == "__main__":
    unittest.main()

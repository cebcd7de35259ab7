# SPDX-License-Identifier: GPL-2.0-only
"""All seeds on machines that, together, have every pair of option values.

What one option breaks is seen on the few geometries that other tests use; what two break together
is seen here. The rows are a covering array, made greedily and the same each time.
"""

import itertools
import json
import random
import re
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FAULTLINE = sys.argv.pop(1)

# Numbers worth trying, the default first; of switches and choices every value is.
NUMBERS = {
    "levels": [4, 2, 3, 5],
    "cpus": [1, 2, 8],
    "mem": [65536, 4096],
    "overcommit": [0, 1, 2],
    "overcommit_ratio": [50, 100],
    "max_map_count": [65530, 24],
    "limit_as": [68719476736, 100],
    "limit_data": [68719476736, 2],
    "limit_stack": [2048, 64],
    "limit_memlock": [2048, 2],
    "max_tasks": [256, 4],
    "seqnum_bits": [32, 2],
    "numa": [2, 0],
    "limit_memcg": [65536, 8],
}
# How the bench looks at it, as if it were an option.
BENCH = {"--allocator": ["malloc", "arena", "buddy"], "--check": ["full", "touched"]}

# With others than these off their defaults a call may rightly return what its seed does not expect.
SAME_RESULTS = {"levels", "kernel_pmd", "paravirt", "ptl_objects", "cpus", "seqnum_bits", "alloc"} | set(BENCH)


def option_values():
    """By option of options.def, the default first. A number that NUMBERS does not know: its range."""
    values = {}
    text = (ROOT / "engine/include/faultline/options.def").read_text()
    for name, default, choices in re.findall(r'^OPT_ENUM\((\w+),\s*(\d+),\s*"([^"]*)"', text, re.M):
        choices = choices.split("|")
        first = choices.pop(int(default))
        values[name] = [first, *choices]
    for name, *numbers in re.findall(r"^OPT_U64\((\w+),\s*(\d+),\s*(\d+),\s*(\d+)", text, re.M):
        default, low, high = map(int, numbers)
        values[name] = NUMBERS.get(name) or list(dict.fromkeys([default, low, high]))
        if values[name][0] != default:
            raise AssertionError(f"the default of {name} is {default}, not {values[name][0]}")
    return values | BENCH


VALUES = option_values()


def fits(row):
    """What machine_config_check() says of a row, or of part of one."""
    return not (row.get("levels") == 3 and row.get("paravirt") == "xen" and
                row.get("kernel_pmd") == "shared")


def pairs(row):
    return {frozenset(p) for p in itertools.combinations(row.items(), 2)}


def all_pairs():
    every = set()
    for a, b in itertools.combinations(VALUES, 2):
        for va, vb in itertools.product(VALUES[a], VALUES[b]):
            every.add(frozenset([(a, va), (b, vb)]))
    return every


def covering_array():
    """Rows until no pair is left; each is the best of many random ones that hold an open pair."""
    rng, left, rows = random.Random(1), all_pairs(), []
    rows.append({k: v[0] for k, v in VALUES.items()})
    left -= pairs(rows[0])
    while left:
        best = None
        for _ in range(60):
            row = dict(rng.choice(sorted(map(sorted, left), key=str)))
            for option in rng.sample(sorted(VALUES), len(VALUES)):
                if option in row:
                    continue
                choices = [v for v in VALUES[option] if fits({**row, option: v})]
                rng.shuffle(choices)
                row[option] = max(choices, key=lambda v: sum(
                    frozenset([(option, v), item]) in left for item in row.items()))
            gain = len(pairs(row) & left)
            if best is None or gain > best[0]:
                best = (gain, row)
        rows.append(best[1])
        left -= pairs(best[1])
    return rows


class Pairwise(unittest.TestCase):
    rows = covering_array()

    def test_options_are_read(self):
        self.assertLessEqual({"profile", "levels", "kernel_pmd", "cpus"}, set(VALUES))
        self.assertLessEqual(set(NUMBERS) | SAME_RESULTS, set(VALUES))

    def test_array_covers(self):
        covered = set().union(*map(pairs, self.rows))
        self.assertEqual(all_pairs() - covered, set())
        self.assertTrue(all(map(fits, self.rows)))
        self.assertLess(len(self.rows), 40)

    def test_seeds_hold_everywhere(self):
        for row in self.rows:
            # what is at its default is left to the seed, which may be about that very option
            machine = ",".join(f"{k}={v}" for k, v in row.items()
                               if not k.startswith("--") and v != VALUES[k][0])
            cmd = [FAULTLINE, "run", "--json"] + (["--machine", machine] if machine else [])
            cmd += [f"{k}={v}" for k, v in row.items() if k.startswith("--")]
            with self.subTest(machine=machine):
                r = subprocess.run(cmd + ["corpus/seeds"], cwd=ROOT, text=True, timeout=300,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                # a seed about an option may not stand beside all values of the others
                refused = [line for line in r.stderr.splitlines()
                           if not re.search(r"\.prog: \w+=\w+ with \w+=\w+ needs ", line)]
                self.assertEqual(refused, [])
                self.assertIn(r.returncode, (0, 1, 2))
                self.assertTrue(r.returncode != 2 or r.stderr)
                findings = [x for x in map(json.loads, r.stdout.splitlines())
                            if x["type"] == "finding"]
                if any(row[k] != VALUES[k][0] for k in VALUES if k not in SAME_RESULTS):
                    findings = [f for f in findings if f["oracle"] != "expect"]
                self.assertEqual([(f["oracle"], f["what"], f["file"]) for f in findings[:5]], [])


if __name__ == "__main__":
    unittest.main()

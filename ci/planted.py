# SPDX-License-Identifier: GPL-2.0-only
"""Copies of the sources in which one error at a time is planted; used by unwind.py and model.py.

A patch begins with a line that says what it plants, then may have lines "key: value", then the diff.
"""

import json
import os
import queue
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ["CMakeLists.txt", "engine", "faultinj", "fuzz", "ci"]
CORPUS = ["corpus/seeds", "corpus/regress"]


class Unusable(Exception):
    """The check itself cannot be made: exit 3."""


def run(cmd, **kw):
    return subprocess.run([str(c) for c in cmd], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", **kw)


class Patch:
    def __init__(self, path):
        self.path, self.name, self.header = path, path.stem, {}
        with path.open() as f:
            self.title = f.readline().strip()
            for line in f:
                key, colon, value = line.partition(": ")
                if not colon or line.startswith("---"):
                    break
                self.header[key] = value.strip()

    def set_header(self, key, value):
        """Writes the header line anew; what is in the file after the header stays."""
        lines = self.path.read_text().splitlines(keepends=True)
        rest = lines[1 + len(self.header):]
        self.header[key] = value
        self.path.write_text(lines[0] + "".join(f"{k}: {v}\n" for k, v in self.header.items()) + "".join(rest))


class Copy:
    """A copy of the sources with a build directory of its own, kept between patches."""

    def __init__(self, work):
        self.src, self.build = work / "src", work / "build"
        work.mkdir(parents=True, exist_ok=True)
        self.restore()
        r = run(["cmake", "-S", self.src, "-B", self.build, "-G", "Ninja", "-DCMAKE_C_COMPILER=clang-14",
                 "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O1", "-DFAULTLINE_TESTS=OFF",
                 "-DFAULTLINE_WERROR=OFF"])
        if r.returncode:
            raise Unusable(f"configuring {self.src} failed:\n{r.stdout}")
        if (r := self.make()).returncode:
            raise Unusable(f"the unpatched copy does not build:\n{r.stdout[-3000:]}")

    def restore(self):
        """Puts the original text back; files that did not change keep their time stamps."""
        wanted = {f.relative_to(ROOT) for name in SOURCES for f in [ROOT / name, *(ROOT / name).rglob("*")]
                  if f.is_file() and "__pycache__" not in f.parts}
        for gone in [f for f in self.src.rglob("*") if f.is_file() and f.relative_to(self.src) not in wanted]:
            gone.unlink()
        for name in wanted:
            to, data = self.src / name, (ROOT / name).read_bytes()
            if not to.is_file() or to.read_bytes() != data:
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(data)

    def plant(self, patch):
        """None, or why there is nothing to run."""
        if run(["patch", "-p1", "--no-backup-if-mismatch", "-i", patch.path], cwd=self.src).returncode:
            return "does not apply"
        return "does not build" if self.make().returncode else None

    def make(self):
        return run(["cmake", "--build", self.build, "--target", "faultline"])

    def faultline(self, *args, timeout=300):
        """(exit code, JSON rows, stderr) of a command of the copy."""
        try:
            r = subprocess.run([self.build / "faultline", *args], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, errors="replace", timeout=timeout)
        except subprocess.TimeoutExpired as e:
            raise Unusable(f"faultline {' '.join(args)} did not end within {timeout} s") from e
        return r.returncode, [json.loads(x) for x in r.stdout.splitlines() if x.startswith("{")], r.stderr

    def again(self, finding):
        """Whether the command that a finding prints finds it again."""
        return self.faultline(*shlex.split(finding["reproduce"])[1:])[0] == 1


def corpus():
    return [c for c in CORPUS if (ROOT / c).is_dir()]


def findings(rows):
    return [x for x in rows if x["type"] == "finding"]


def choose(parser, where, names):
    """The patches of a directory, all or those named."""
    patches = {p.stem: Patch(p) for p in sorted(where.glob("*.patch"))}
    if unknown := [n for n in names if n not in patches]:
        parser.error(f"no patch named {', '.join(unknown)} in {where.relative_to(ROOT)}")
    return [patches[n] for n in names] if names else list(patches.values())


def add_arguments(parser, work):
    parser.add_argument("names", nargs="*", metavar="NAME", help="patches to try (default: all)")
    parser.add_argument("--json", action="store_true", help="a JSON line per patch")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="copies side by side")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / work, metavar="DIR",
                        help=f"where the copies are built (default build/{work})")


def try_all(patches, args, silent, attempt):
    """Yields (patch, row) in the order of patches; silent(copy) must hold before any is planted."""
    if shutil.which("patch") is None:
        raise Unusable("no patch(1); ci/deps installs it")
    copies = queue.SimpleQueue()
    jobs = max(1, min(args.jobs, len(patches)))
    with ThreadPoolExecutor(jobs) as pool:
        made = list(pool.map(lambda i: Copy(args.work.resolve() / str(i)), range(jobs)))
        silent(made[0])
        for copy in made:
            copies.put(copy)

        def one(patch):
            copy = copies.get()
            try:
                start = time.monotonic()
                row = {"v": 1, "patch": patch.name, "step": patch.title, "found": False}
                why_not = copy.plant(patch)
                row |= {"applies": why_not != "does not apply", "builds": why_not is None}
                if why_not is None:
                    row |= attempt(copy, patch)
                copy.restore()
                return patch, row | {"seconds": round(time.monotonic() - start, 1)}
            finally:
                copies.put(copy)

        yield from pool.map(one, patches)


def main(parser, argv, where, attempt, silent, header, line, last):
    """The common command: a row per patch, a total, the exit code."""
    args = parser.parse_args(argv)
    patches = choose(parser, where, args.names)
    kind = where.name
    missed = 0
    try:
        first = True
        for patch, row in try_all(patches, args, silent, lambda c, p: attempt(c, p, args)):
            missed += not row["found"]
            if args.json:
                print(json.dumps({"type": kind} | row), flush=True)
                continue
            if first:
                print(header)
                first = False
            if not row["builds"]:
                print(f"{patch.name:<34} DOES NOT {'BUILD' if row['applies'] else 'APPLY'}", flush=True)
            else:
                print(line(row), flush=True)
    except Unusable as e:
        print(f"{parser.prog}: {e}", file=sys.stderr)
        return 3
    found = len(patches) - missed
    if args.json:
        print(json.dumps({"v": 1, "type": "total", "patches": len(patches), "found": found, "missed": missed}))
    else:
        print(f"{found} of {len(patches)} {last}")
    return 1 if missed or not patches else 0

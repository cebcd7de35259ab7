# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of engine/ the corpus and its sweeps reach, without any unit test.

Builds the preset "coverage", runs and sweeps the committed corpus on the machines listed here, and prints
the share of lines per file and every run of lines that was not reached. ci/coverage.reasons says why a
place cannot be: a place that it does not name, or one that it names and that is reached, fails.
"""

import argparse
import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REASONS = ROOT / "ci" / "coverage.reasons"
LEAST = 95.0  # without the backends, which have a suite of their own: faultline alloc-check
BACKENDS = "engine/alloc/"

SEEDS = ["corpus/seeds", "corpus/regress"]
REAL = ["corpus/real"]
RUNS = [
    ["sweep", *SEEDS],
    ["run", *SEEDS, *REAL],
    *(["run", "--allocator", a, *SEEDS, *REAL] for a in ("arena", "buddy", "guard")),
    *(["run", "--machine", m, *SEEDS] for m in (
        "levels=2", "levels=2,paravirt=xen,thp=always", "levels=3,kernel_pmd=private",
        "levels=3,kernel_pmd=shared,paravirt=native,ptl_objects=1,thp=always",
        "levels=5,paravirt=xen,ptl_objects=1", "thp=always", "profile=linux-6.18")),
    ["run", "--repeat", "2", "corpus/seeds"],
]


def fail(code, text):
    print(f"ci/coverage: {text}", file=sys.stderr)
    sys.exit(code)


def call(cmd, **kw):
    r = subprocess.run([str(c) for c in cmd], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, errors="replace", **kw)
    return r.returncode, r.stdout


def tool(name):
    for t in (f"{name}-14", name):
        if shutil.which(t):
            return t
    fail(3, f"{name} is missing (ci/deps installs it)")


def build(directory):
    launcher = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    for cmd in (["cmake", "--preset", "coverage", "-B", directory, *launcher],
                ["cmake", "--build", directory, "--target", "faultline"]):
        code, out = call(cmd)
        if code:
            fail(3, f"{' '.join(map(str, cmd))} failed:\n{out}")
    return directory / "faultline"


def measure(exe, work, jobs):
    """Runs everything; the text that llvm-cov makes of it. Children add to the profile as they end."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    env = dict(os.environ, LLVM_PROFILE_FILE=str(work / "%4m.profraw"))
    todo, running = list(RUNS), []
    while todo or running:
        while todo and len(running) < jobs:
            cmd = todo.pop(0)
            running.append((cmd, subprocess.Popen([str(exe), *cmd], cwd=ROOT, env=env, text=True,
                                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)))
        cmd, p = running.pop(0)
        out = p.communicate()[0]
        if p.returncode:
            fail(1, f"faultline {' '.join(cmd)}: exit {p.returncode}\n" + "\n".join(out.splitlines()[-12:]))
    data = work / "all.profdata"
    code, out = call([tool("llvm-profdata"), "merge", "-o", data, *sorted(work.glob("*.profraw"))])
    if code:
        fail(3, f"llvm-profdata failed:\n{out}")
    r = subprocess.run([tool("llvm-cov"), "export", "-format=lcov", "-instr-profile", str(data), str(exe)],
                       cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if r.returncode:
        fail(3, f"llvm-cov failed:\n{r.stderr}")
    return r.stdout


class File:
    def __init__(self, path):
        self.path, self.lines, self.functions = path, {}, []

    def function(self, line):
        name = "-"
        for start, fn in sorted(self.functions):
            if start <= line:
                name = fn
        return name

    def places(self):
        """Runs of lines that were not reached: [(function, text of the first, [numbers])]."""
        text = (ROOT / self.path).read_text().splitlines()
        out, block = [], []

        def close():
            if not block:
                return
            speaking = [n for n in block if len(re.findall("[A-Za-z]", text[n - 1])) > 4]
            first = (speaking or block)[0]
            what = " ".join(text[first - 1].split())
            # a return says little without the question before it
            if re.match("(return|goto|continue|break)\\b", what) and first > 1:
                what = " ".join((text[first - 2] + " " + what).split())
            out.append((self.function(block[0]), what, list(block)))
            block.clear()

        for n in sorted(self.lines):
            if self.lines[n]:
                close()
                continue
            if block and self.function(block[-1]) != self.function(n):
                close()
            block.append(n)
        close()
        return out


def parse(lcov):
    files, f = {}, None
    for line in lcov.splitlines():
        if line.startswith("SF:"):
            path = os.path.relpath(line[3:], ROOT)
            f = files.setdefault(path, File(path)) if path.startswith("engine/") else None
        elif not f:
            continue
        elif line.startswith("FN:"):
            start, name = line[3:].split(",", 1)
            f.functions.append((int(start), name.rsplit(":", 1)[-1]))
        elif line.startswith("DA:"):
            n, count = line[3:].split(",")[:2]
            f.lines[int(n)] = f.lines.get(int(n), 0) + int(count)
    for f in files.values():
        text = (ROOT / f.path).read_text().splitlines()
        f.lines = {n: c for n, c in f.lines.items() if n <= len(text) and not text[n - 1].startswith("#")}
    return {p: f for p, f in files.items() if f.lines}


class Reason:
    """A place, each part of it perhaps with the wildcards of a shell, and why it is not reached."""

    def __init__(self, place, why):
        self.place, self.why, self.used = place, why, 0

    def fits(self, key):
        return all(p == k or ("*" in p and fnmatch.fnmatchcase(k, p.replace("[", "[[]")))
                   for p, k in zip(self.place, key))


def read_reasons():
    """A reason is a line that begins with "= "; the places that it is for follow it."""
    out, why = [], None
    for n, line in enumerate(REASONS.read_text().splitlines() if REASONS.is_file() else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("= "):
            why = line[2:].strip()
            continue
        m = re.fullmatch(r"(\S+): (\S+): (.+)", line)
        if not m or not why:
            fail(2, f"{REASONS.name}:{n}: not \"= REASON\" and not \"FILE: FUNCTION: LINE\" below one")
        out.append(Reason(m.groups(), why))
    return out


def main(argv):
    p = argparse.ArgumentParser(prog="ci/coverage", description=__doc__.splitlines()[0],
                                epilog="Exit: 0 all reached or explained, 1 not, 2 usage, 3 environment.")
    p.add_argument("--build", type=Path, default=ROOT / "build" / "coverage", metavar="DIR",
                   help="build directory (build/coverage)")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    p.add_argument("--new", action="store_true", help="print only what ci/coverage.reasons does not explain")
    a = p.parse_args(argv)

    reasons = read_reasons()
    exe = build(a.build.resolve())
    files = parse(measure(exe, a.build.resolve() / "profiles", a.jobs))
    if not files:
        fail(3, "llvm-cov shows no line of engine/")

    count = {True: [0, 0], False: [0, 0]}  # reached and all, of the backends and of the rest
    explained = new = 0
    for path in sorted(files):
        f = files[path]
        n, hit = len(f.lines), sum(1 for c in f.lines.values() if c)
        for i, k in enumerate((hit, n)):
            count[path.startswith(BACKENDS)][i] += k
        if not a.new:
            print(f"{100 * hit / n:6.1f} %  {hit:5} of {n:5}  {path}")
        for function, text, lines in f.places():
            span = f"{lines[0]}-{lines[-1]}" if len(lines) > 1 else str(lines[0])
            reason = next((r for r in reasons if r.fits((path, function, text))), None)
            if reason:
                reason.used += 1
                explained += len(lines)
                if not a.new:
                    print(f"            {span}: {function}: {text}\n                {reason.why}")
                continue
            new += len(lines)
            print(f"NOT REACHED {path}:{span}\n{path}: {function}: {text}")
    stale = [r for r in reasons if not r.used]
    for r in stale:
        print(f"STALE       {': '.join(r.place)}")
    hit, n = count[False]
    both, total = (hit + count[True][0], n + count[True][1])
    share = 100 * hit / n
    print(f"ci/coverage: {share:.1f} % of {n} lines reached, {100 * both / total:.1f} % of {total} with the backends; "
          f"{explained} explained, {new} not, {len(stale)} stale reasons")
    if share < LEAST:
        print(f"ci/coverage: that is less than {LEAST} %")
    return 1 if new or stale or share < LEAST else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

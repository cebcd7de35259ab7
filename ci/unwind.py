# SPDX-License-Identifier: GPL-2.0-only
"""Proof that the sweep sees each unwind step: take one away, sweep, and it must be reported.

ci/unwind/*.patch each remove one step of an error path. This applies them in turn to a copy of the
sources, builds it, sweeps corpus/seeds, runs corpus/seeds and corpus/regress, and shows which oracle
spoke in either. The command that repeats the first finding must find it again, and no program may
have points left that were not tried, also where the missing step kills the process. The unpatched
copy must be silent first.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATCHES = ROOT / "ci" / "unwind"
SOURCES = ["CMakeLists.txt", "engine", "faultinj", "fuzz", "ci"]


def fail(code, text):
    print(f"ci/unwind-check: {text}", file=sys.stderr)
    sys.exit(code)


def run(cmd, **kw):
    return subprocess.run([str(c) for c in cmd], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", **kw)


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
            fail(3, f"configuring {self.src} failed:\n{r.stdout}")

    def restore(self, only=None):
        """Puts the original text back; files that did not change keep their time stamps."""
        for name in SOURCES:
            top = ROOT / name
            for f in [top] if top.is_file() else sorted(p for p in top.rglob("*") if p.is_file()):
                if "__pycache__" in f.parts:
                    continue
                to = self.src / f.relative_to(ROOT)
                if only is not None and to not in only:
                    continue
                data = f.read_bytes()
                if not to.is_file() or to.read_bytes() != data:
                    to.parent.mkdir(parents=True, exist_ok=True)
                    to.write_bytes(data)

    def apply(self, patch):
        r = run(["patch", "-p1", "--no-backup-if-mismatch", "-i", patch], cwd=self.src)
        if r.returncode:
            return r.stdout
        return None

    def make(self):
        return run(["cmake", "--build", self.build, "--target", "faultline"])

    def faultline(self, *args, timeout=300):
        """(exit code, findings, stderr) of a command of the copy."""
        exe = next(p for p in (self.build / "fuzz" / "faultline", self.build / "faultline") if p.is_file())
        try:
            r = subprocess.run([exe, *args], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, errors="replace", timeout=timeout)
        except subprocess.TimeoutExpired:
            fail(3, f"faultline {' '.join(args)} did not end within {timeout} s")
        rows = [json.loads(x) for x in r.stdout.splitlines() if x.startswith("{")]
        return r.returncode, rows, r.stderr

    def sweep(self, backend):
        code, rows, err = self.faultline("sweep", "--json", "--allocator", backend, "corpus/seeds")
        self.untried = [x["file"] for x in rows if x["type"] == "sweep" and x.get("not_tried")]
        self.crashes = sum(x.get("crashes", 0) for x in rows if x["type"] == "sweep")
        return code, [x for x in rows if x["type"] == "finding"], err

    def run(self, backend):
        programs = [c for c in ("corpus/seeds", "corpus/regress") if (ROOT / c).is_dir()]
        code, rows, err = self.faultline("run", "--json", "--allocator", backend, *programs)
        return code, [x for x in rows if x["type"] == "finding"], err

    def again(self, findings):
        """Whether the command that a finding prints finds it again; None if none can be repeated."""
        no_marks = "--no-marks" in run([self.build / "faultline", "run", "--help"]).stdout
        for f in findings:
            if not f.get("plan") or not f.get("confirmed", True):
                continue
            marked = any("!" in line.split("#")[0]
                         for line in (ROOT / f["file"]).read_text(errors="replace").splitlines())
            if f.get("reproduce"):
                args = shlex.split(f["reproduce"])[1:]
            elif f.get("name") == "teardown" or marked and not no_marks:
                continue
            else:
                args = ["run", f["file"], "--fault", f["plan"], *(["--no-marks"] if marked else [])]
                args += ["--machine", f["machine"]] if f.get("machine") else []
            return self.faultline(*args)[0] == 1
        return None


def title(patch):
    """The first line of a patch says which step it removes."""
    with patch.open() as f:
        return f.readline().strip()


def backend_of(patch):
    """Its second line may say "allocator: NAME": only what that one refuses shows that the step is gone."""
    with patch.open() as f:
        f.readline()
        key, _, name = f.readline().partition(": ")
    return name.strip() if key == "allocator" else "malloc"


def main(argv):
    p = argparse.ArgumentParser(prog="ci/unwind-check", description=__doc__.splitlines()[0],
                                epilog="Exit: 0 all reported, 1 one was missed, 2 usage, 3 environment.")
    p.add_argument("names", nargs="*", metavar="NAME", help="patches to try (default: all)")
    p.add_argument("--json", action="store_true", help="a JSON line per patch")
    p.add_argument("--work", type=Path, default=ROOT / "build" / "unwind", metavar="DIR",
                   help="where the copy is built (default build/unwind)")
    args = p.parse_args(argv)
    patches = sorted(PATCHES.glob("*.patch"))
    if args.names:
        have = {x.stem: x for x in patches}
        unknown = [n for n in args.names if n not in have]
        if unknown:
            p.error(f"no patch named {', '.join(unknown)} in ci/unwind")
        patches = [have[n] for n in args.names]
    if shutil.which("patch") is None:
        fail(3, "no patch(1); ci/deps installs it")

    copy = Copy(args.work.resolve())
    if (r := copy.make()).returncode:
        fail(3, f"the unpatched copy does not build:\n{r.stdout[-3000:]}")
    backends = sorted({backend_of(x) for x in patches})
    for how, backend in ((how, x) for x in backends for how in (copy.sweep, copy.run)):
        code, findings, err = how(backend)
        if code != 0:
            fail(3, f"the unpatched copy is not silent on {backend} (exit {code}): "
                    f"{findings[0]['what'] if findings else err[-500:]}")

    if not args.json:
        print(f"{'patch':<34} {'sweep/run':<7} again findings by oracle")
    missed = 0
    for patch in patches:
        start = time.monotonic()
        row = {"v": 1, "type": "unwind", "patch": patch.stem, "step": title(patch), "applies": True,
               "builds": True, "found": False, "sweep": 0, "run": 0, "again": None,
               "oracles": {}}
        error = copy.apply(patch)
        if error is not None:
            row["applies"] = False
        elif copy.make().returncode:
            row["builds"] = False
        else:
            code, swept, err = copy.sweep(backend_of(patch))
            code_run, ran, err = copy.run(backend_of(patch))
            findings = swept + ran
            row["sweep"], row["run"], row["again"] = len(swept), len(ran), copy.again(swept)
            row["crashes"], row["untried"] = copy.crashes, copy.untried
            row["found"] = (bool(findings) and {code, code_run} <= {0, 1} and row["again"] is not False
                            and not row["untried"])
            row["oracles"] = dict(Counter(f["oracle"] for f in findings))
            row["first"] = findings[0]["what"] if findings else None
        copy.restore()
        row["seconds"] = round(time.monotonic() - start, 1)
        missed += not row["found"]
        if args.json:
            print(json.dumps(row), flush=True)
        else:
            how = ("does not apply" if not row["applies"] else "does not build" if not row["builds"]
                   else "NOT AGAIN" if row["again"] is False
                   else f"NOT ALL OF {row['untried'][0]} TRIED" if row.get("untried")
                   else "MISSED" if not row["found"]
                   else " ".join(f"{o}:{n}" for o, n in sorted(row["oracles"].items())))
            again = {True: "yes", False: "NO", None: "-"}[row["again"]]
            print(f"{patch.stem:<34} {row['sweep']:>3}/{row['run']:<3} {again:<5} {how:<40} {row['step']}",
                  flush=True)
    if args.json:
        print(json.dumps({"v": 1, "type": "total", "patches": len(patches), "found": len(patches) - missed,
                          "missed": missed}))
    else:
        print(f"{len(patches) - missed} of {len(patches)} removed steps reported")
    return 1 if missed or not patches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: GPL-2.0-only
"""Proof that the sweep sees each unwind step: take one away, sweep, and it must be reported.

ci/unwind/*.patch each remove one step of an error path. This applies them in turn to copies of the
sources and shows which oracle spoke. A patch names the seed that shows its step ("shown by: FILE");
where that one is silent, or with --whole, corpus/seeds is swept and corpus/seeds and corpus/regress
are run. The command that repeats the first finding must find it again, and no program may have points
left that were not tried, also where the missing step kills the process. The unpatched copy must be
silent first, on all programs.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True
import planted  # noqa: E402

PATCHES = planted.ROOT / "ci" / "unwind"
BACKENDS = sorted({p.header.get("allocator", "malloc") for p in map(planted.Patch, PATCHES.glob("*.patch"))})


def sweep(copy, backend, *programs):
    code, rows, err = copy.faultline("sweep", "--json", "--allocator", backend, *programs)
    return code, rows, err


def silent(copy):
    for backend in BACKENDS:
        for code, rows, err in (sweep(copy, backend, "corpus/seeds"),
                                copy.faultline("run", "--json", "--allocator", backend, *planted.corpus())):
            if code:
                found = planted.findings(rows)
                raise planted.Unusable(f"the unpatched copy is not silent on {backend} (exit {code}): "
                                       f"{found[0]['what'] if found else err[-500:]}")


def look(copy, backend, swept_programs, run_programs):
    code, rows, _ = sweep(copy, backend, *swept_programs)
    code_run, run_rows, _ = copy.faultline("run", "--json", "--allocator", backend, *run_programs)
    swept, ran = planted.findings(rows), planted.findings(run_rows)
    sweeps = [x for x in rows if x["type"] == "sweep"]
    untried = [x["file"] for x in sweeps if x.get("not_tried")]
    repeatable = next((f for f in swept if f.get("reproduce") and f.get("confirmed", True)), None)
    again = copy.again(repeatable) if repeatable else None
    return {"found": bool(swept or ran) and {code, code_run} <= {0, 1} and again is not False and not untried,
            "sweep": len(swept), "run": len(ran), "again": again, "untried": untried,
            "crashes": sum(x.get("crashes", 0) for x in sweeps),
            "oracles": dict(Counter(f["oracle"] for f in swept + ran)),
            "first": (swept + ran)[0]["what"] if swept or ran else None,
            "file": (swept + ran)[0]["file"] if swept or ran else None}


def attempt(copy, patch, args):
    backend, hint = patch.header.get("allocator", "malloc"), patch.header.get("shown by")
    if hint and (planted.ROOT / hint).is_file() and not args.whole and not args.learn:
        row = look(copy, backend, [hint], [hint])
        if row["found"]:
            return row
    row = look(copy, backend, ["corpus/seeds"], planted.corpus())
    if args.learn and row["file"]:
        patch.set_header("shown by", str(Path(row["file"])))
    return row


def line(row):
    how = ("NOT AGAIN" if row["again"] is False else f"NOT ALL OF {row['untried'][0]} TRIED" if row["untried"]
           else "MISSED" if not row["found"]
           else " ".join(f"{o}:{n}" for o, n in sorted(row["oracles"].items())))
    again = {True: "yes", False: "NO", None: "-"}[row["again"]]
    return f"{row['patch']:<34} {row['sweep']:>3}/{row['run']:<3} {again:<5} {how:<40} {row['step']}"


def main(argv):
    p = argparse.ArgumentParser(prog="ci/unwind-check", description=__doc__.splitlines()[0],
                                epilog="Exit: 0 all reported, 1 one was missed, 2 usage, 3 environment.")
    planted.add_arguments(p, "unwind")
    p.add_argument("--whole", action="store_true", help="sweep all seeds for each patch")
    p.add_argument("--learn", action="store_true", help="as --whole, and write into each patch which seed shows it")
    return planted.main(p, argv, PATCHES, attempt, silent,
                        f"{'patch':<34} {'sweep/run':<7} again findings by oracle", line, "removed steps reported")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

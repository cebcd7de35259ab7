# SPDX-License-Identifier: GPL-2.0-only
"""Proof that the reference model sees what the engine does wrong.

ci/model/*.patch each make the engine do something else than it should, mostly something that is
consistent with itself: no invariant breaks, nothing leaks, it is just not what the call is for. This
applies them in turn to a copy of the sources, builds it, runs corpus/seeds and corpus/regress with the
model alone (--check off), and with all checks but the model, and shows what was found in either. Each
must be found by the model, and the command that its first finding prints must find it again. The
unpatched copy must be silent first.
"""

import argparse
import json
import shlex
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True
import unwind  # noqa: E402

PATCHES = unwind.ROOT / "ci" / "model"
PROGRAMS = ["corpus/seeds", "corpus/regress"]


def fail(code, text):
    print(f"ci/model-check: {text}", file=sys.stderr)
    sys.exit(code)


def findings(copy, *how):
    code, rows, err = copy.faultline("run", "--json", *how,
                                     *(c for c in PROGRAMS if (unwind.ROOT / c).is_dir()))
    return code, [x for x in rows if x["type"] == "finding"], rows[-1] if rows else {}, err


def again(copy, found):
    """Whether the command that a finding prints finds it again."""
    for f in found:
        if f["oracle"] == "model" and f.get("confirmed", True):
            args = shlex.split(f["reproduce"])[1:] if f.get("reproduce") else ["run", f["file"]]
            return copy.faultline(*args)[0] == 1
    return None


def main(argv):
    p = argparse.ArgumentParser(prog="ci/model-check", description=__doc__.splitlines()[0],
                                epilog="Exit: 0 the model found all, 1 it missed one, 2 usage, 3 environment.")
    p.add_argument("names", nargs="*", metavar="NAME", help="patches to try (default: all)")
    p.add_argument("--json", action="store_true", help="a JSON line per patch")
    p.add_argument("--work", type=Path, default=unwind.ROOT / "build" / "model", metavar="DIR",
                   help="where the copy is built (default build/model)")
    args = p.parse_args(argv)
    patches = sorted(PATCHES.glob("*.patch"))
    if args.names:
        have = {x.stem: x for x in patches}
        unknown = [n for n in args.names if n not in have]
        if unknown:
            p.error(f"no patch named {', '.join(unknown)} in ci/model")
        patches = [have[n] for n in args.names]
    if shutil.which("patch") is None:
        fail(3, "no patch(1); ci/deps installs it")

    copy = unwind.Copy(args.work.resolve())
    if (r := copy.make()).returncode:
        fail(3, f"the unpatched copy does not build:\n{r.stdout[-3000:]}")
    code, found, total, err = findings(copy, "--check", "full")
    if code != 0:
        fail(3, f"the unpatched copy is not silent (exit {code}): "
                f"{found[0]['what'] if found else err[-500:]}")
    if not total.get("model", {}).get("agreed"):
        fail(3, "the unpatched copy was not compared with the model")

    if not args.json:
        print(f"{'patch':<24} {'model':>5} {'others':>6} again first finding of the model")
    missed = 0
    for patch in patches:
        start = time.monotonic()
        row = {"v": 1, "type": "model", "patch": patch.stem, "step": unwind.title(patch), "applies": True,
               "builds": True, "found": False, "model": 0, "others": {}, "again": None}
        error = copy.apply(patch)
        if error is not None:
            row["applies"] = False
        elif copy.make().returncode:
            row["builds"] = False
        else:
            code, found, _, _ = findings(copy, "--check", "off")
            row["model"] = sum(f["oracle"] == "model" for f in found)
            row["others"] = dict(Counter(f["oracle"] for f in findings(copy, "--model", "off")[1]))
            row["again"] = again(copy, found)
            row["found"] = code == 1 and row["model"] > 0 and row["again"] is not False
            row["first"] = next((f["what"] for f in found if f["oracle"] == "model"), None)
        copy.restore()
        row["seconds"] = round(time.monotonic() - start, 1)
        missed += not row["found"]
        if args.json:
            print(json.dumps(row), flush=True)
        else:
            how = ("DOES NOT APPLY" if not row["applies"] else "DOES NOT BUILD" if not row["builds"]
                   else "NOT AGAIN" if row["again"] is False else row["first"] or "MISSED")
            print(f"{patch.stem:<24} {row['model']:>5} {sum(row['others'].values()):>6} "
                  f"{ {True: 'yes', False: 'NO', None: '-'}[row['again']]:<5} {how}", flush=True)
    if args.json:
        print(json.dumps({"v": 1, "type": "total", "patches": len(patches), "found": len(patches) - missed,
                          "missed": missed}))
    else:
        print(f"{len(patches) - missed} of {len(patches)} planted errors found by the model "
              "(others: what all checks but the model found; expect is the programs' own)")
    return 1 if missed or not patches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

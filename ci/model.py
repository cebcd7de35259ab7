# SPDX-License-Identifier: GPL-2.0-only
"""Proof that the reference model sees what the engine does wrong.

ci/model/*.patch each make the engine do something else than it should, mostly something that is
consistent with itself: no invariant breaks, nothing leaks, it is just not what the call is for. This
applies them in turn to copies of the sources, runs corpus/seeds and corpus/regress with the model alone
(--check off), and with all checks but the model, and shows what was found in either. Each must be found
by the model, and the command that its first finding prints must find it again. The unpatched copy must
be silent first.
"""

import argparse
import sys
from collections import Counter

sys.dont_write_bytecode = True
import planted  # noqa: E402

PATCHES = planted.ROOT / "ci" / "model"


def look(copy, *how):
    return copy.faultline("run", "--json", *how, *planted.corpus())


def silent(copy):
    code, rows, err = look(copy, "--check", "full")
    if code:
        found = planted.findings(rows)
        raise planted.Unusable(f"the unpatched copy is not silent (exit {code}): "
                               f"{found[0]['what'] if found else err[-500:]}")
    if not rows[-1].get("model", {}).get("agreed"):
        raise planted.Unusable("the unpatched copy was not compared with the model")


def attempt(copy, patch, args):
    code, rows, _ = look(copy, "--check", "off")
    found = [f for f in planted.findings(rows) if f["oracle"] == "model"]
    others = Counter(f["oracle"] for f in planted.findings(look(copy, "--model", "off")[1]))
    again = copy.again(found[0]) if found else None
    return {"found": code == 1 and bool(found) and again is not False, "model": len(found), "others": dict(others),
            "again": again, "first": found[0]["what"] if found else None}


def line(row):
    how = "NOT AGAIN" if row["again"] is False else row["first"] or "MISSED"
    again = {True: "yes", False: "NO", None: "-"}[row["again"]]
    return f"{row['patch']:<34} {row['model']:>5} {sum(row['others'].values()):>6} {again:<5} {how}"


def main(argv):
    p = argparse.ArgumentParser(prog="ci/model-check", description=__doc__.splitlines()[0],
                                epilog="Exit: 0 the model found all, 1 it missed one, 2 usage, 3 environment.")
    planted.add_arguments(p, "model")
    return planted.main(p, argv, PATCHES, attempt, silent,
                        f"{'patch':<34} {'model':>5} {'others':>6} again first finding of the model", line,
                        "planted errors found by the model (others: what all checks but the model found; "
                        "expect is the programs' own)")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

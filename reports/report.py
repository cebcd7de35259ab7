#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes DIR/report/index.html from the JSON that a campaign left in DIR.

One self-contained page: no script, no network, pictures inline. It reads nothing but DIR.
"""

import argparse
import io
import json
import re
import sys
from pathlib import Path

import jinja2
import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

HERE = Path(__file__).resolve().parent


def read_json(path, default):
    try:
        return json.loads(path.read_text(errors="replace"))
    except (OSError, ValueError):
        return default


def read_lines(path):
    rows = []
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return rows
    for line in text.splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue  # cut off by a kill
    return rows


def svg(fig):
    buf = io.StringIO()
    fig.savefig(buf, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(fig)
    text = buf.getvalue()
    return text[text.index("<svg"):]


def style():
    plt.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "faultline", "font.size": 9, "font.family": "sans-serif",
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
        "figure.constrained_layout.use": True,
    })


def rates(progress, key):
    """Executions per second between two rows; counters start again with each session."""
    out = []
    for a, b in zip(progress, progress[1:]):
        dt = b["t"] - a["t"]
        if dt > 0 and b[key] >= a[key]:
            out.append((b["t"] / 60, (b[key] - a[key]) / dt))
    return out


def chart_progress(progress):
    if len(progress) < 2:
        return None
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 2.9))
    minutes = [r["t"] / 60 for r in progress]
    left.plot(minutes, [r["afl_edges"] for r in progress], label="AFL++", color="#b5482a")
    left.plot(minutes, [r["libfuzzer_edges"] for r in progress], label="libFuzzer", color="#2a6f97")
    left.set_title("edges of the engine", loc="left")
    for key, name, color in (("afl", "AFL++", "#b5482a"), ("libfuzzer", "libFuzzer", "#2a6f97")):
        r = rates(progress, key)
        right.plot([x for x, _ in r], [y for _, y in r], label=name, color=color)
    right.set_title("executions per second", loc="left")
    for ax in (left, right):
        ax.set_xlabel("minutes")
        ax.set_ylim(bottom=0)
        ax.legend(frameon=False)
    return svg(fig)


def chart_sites(sites):
    if not sites:
        return None
    classes = sorted({s["class"] for s in sites})
    done = [sum(s["failed"] > 0 for s in sites if s["class"] == c) for c in classes]
    reached = [sum(s["reached"] > 0 and s["failed"] == 0 for s in sites if s["class"] == c) for c in classes]
    never = [sum(s["reached"] == 0 for s in sites if s["class"] == c) for c in classes]
    fig, ax = plt.subplots(figsize=(9.6, 0.5 + 0.32 * len(classes)))
    left = [0] * len(classes)
    for values, label, color in ((done, "failed at least once", "#3b7d4f"),
                                 (reached, "reached, never failed", "#d9a441"),
                                 (never, "never reached", "#c9c9c9")):
        ax.barh(classes, values, left=left, label=label, color=color)
        left = [a + b for a, b in zip(left, values)]
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("fault sites")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg(fig)


def collect(out, summary):
    findings = read_lines(out / "findings.jsonl")
    for f in findings:
        prog = out / f.get("file", "")
        f["program"] = prog.read_text(errors="replace") if prog.is_file() else None
        if f.get("reproduce"):
            f["command"] = re.sub(r"^(?:\S*/)?faultline ", "build/asan/faultline ", f["reproduce"])
        else:
            f["command"] = f"build/asan/faultline run {prog if prog.is_file() else f.get('file', '?')}"
            if f.get("plan"):
                f["command"] += f" --fault '{f['plan']}'"
    findings.sort(key=lambda f: (not f.get("new"), f.get("oracle", ""), f.get("bucket", "")))
    sweep = read_lines(out / "sweep.jsonl")
    sites = [r for r in read_lines(out / "sites.jsonl") if r.get("type") == "site"]
    return {
        "summary": summary,
        "campaign": read_json(out / "campaign.json", {}),
        "sessions": read_lines(out / "sessions.jsonl"),
        "findings": findings,
        "sweep_files": sorted((r for r in sweep if r.get("type") == "sweep"),
                              key=lambda r: (-r["findings"], -r["masked"], r["file"])),
        "sites": sorted(sites, key=lambda s: (s["failed"] > 0, s["reached"] > 0, s["class"], s["name"])),
        "progress_chart": chart_progress(read_lines(out / "progress.jsonl")),
        "sites_chart": chart_sites(sites),
    }


def main(argv):
    p = argparse.ArgumentParser(prog="reports/report.py", description=__doc__.splitlines()[0])
    p.add_argument("dir", type=Path, metavar="DIR", help="output directory of ci/campaign")
    args = p.parse_args(argv)
    if not (args.dir / "summary.json").is_file():
        print(f"reports/report.py: {args.dir}: no summary.json there; is it a campaign's directory?",
              file=sys.stderr)
        return 2
    summary = read_json(args.dir / "summary.json", None)
    if not isinstance(summary, dict) or not {"executions", "findings", "sweep"} <= summary.keys():
        print(f"reports/report.py: {args.dir / 'summary.json'}: not what a campaign writes; "
              f"ci/campaign --resume {args.dir} makes it anew", file=sys.stderr)
        return 2
    style()
    env = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True,
                             undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True)
    env.filters["n"] = lambda x: f"{x:,}" if isinstance(x, (int, float)) else "–"
    page = env.get_template("report.html").render(collect(args.dir, summary))
    target = args.dir / "report" / "index.html"
    try:
        target.parent.mkdir(exist_ok=True)
        tmp = target.with_name("index.html.tmp")
        tmp.write_text(page)
        tmp.replace(target)
    except OSError as e:
        print(f"reports/report.py: {target}: {e.strerror}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

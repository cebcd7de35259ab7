# SPDX-License-Identifier: GPL-2.0-only
"""A fuzzing campaign: build, AFL++ and libFuzzer side by side, sweep, triage, report.

Everything that it learns is written to the output directory as it happens, so that a campaign that
is interrupted, killed or resumed loses nothing; the report is made from those files alone.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ["seeds", "real", "fuzz", "regress"]
EXIT_CLEAN, EXIT_FINDING, EXIT_USAGE, EXIT_ENVIRONMENT = 0, 1, 2, 3
SPACE_FLOOR = 256 << 20  # stop fuzzing before the disk is full: both engines lose crashes silently
MIN_SECONDS = "30"  # for a finding to get small
MAX_OPS = "512"  # what the harness runs of an input
# libFuzzer: sanitizer, timeout, out of memory, leak or abort.
LIBFUZZER_FOUND = {1, 70, 71, 77}


def say(text):
    print(text, flush=True)


def fail(code, text):
    print(f"ci/campaign: {text}", file=sys.stderr)
    sys.exit(code)


def parse_args(argv):
    p = argparse.ArgumentParser(
        prog="ci/campaign",
        description="Builds the bench, fuzzes with AFL++ and libFuzzer together, sweeps faults over "
        "the corpus, sorts what was found and writes DIR/report/index.html and DIR/summary.json.",
        epilog="Exit: 0 nothing found, 1 findings, 2 usage, 3 environment. Ctrl-C ends the fuzzing "
        "early and still writes the report.",
    )
    p.add_argument("--minutes", type=float, default=2.0, metavar="M", help="fuzzing time (default 2)")
    p.add_argument("--jobs", type=int, metavar="J",
                   help="fuzzer processes, at least one of each engine (default: one per CPU)")
    p.add_argument("--out", type=Path, metavar="DIR",
                   help="output directory, new or empty (default campaign-out/<time>)")
    p.add_argument("--resume", type=Path, metavar="DIR", help="go on with the campaign in DIR")
    args = p.parse_args(argv)
    if not 0 < args.minutes <= 60 * 24 * 365:
        p.error("--minutes needs a number above 0")
    if args.jobs is None:
        args.jobs = os.cpu_count() or 2
    if args.jobs < 1:
        p.error("--jobs needs a number above 0")
    if args.out and args.resume:
        p.error("--out and --resume exclude each other")
    return args


def prepare_dir(args):
    """Makes or checks the output directory. A campaign never writes into somebody else's files."""
    if args.resume:
        out = args.resume
        if not (out / "campaign.json").is_file():
            fail(EXIT_USAGE, f"{out}: no campaign to resume there (no campaign.json)")
    else:
        out = args.out or Path("campaign-out") / time.strftime("%Y%m%d-%H%M%S")
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            fail(EXIT_USAGE, f"{out}: not empty; choose another --out, or --resume {out}")
    try:
        for sub in ("seeds", "libfuzzer/corpus", "libfuzzer/artifacts", "afl", "findings", "report"):
            (out / sub).mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        probe.write_bytes(b"x" * 65536)
        probe.unlink()
    except OSError as e:
        fail(EXIT_ENVIRONMENT, f"{out}: cannot write there: {e.strerror}")
    if shutil.disk_usage(out).free < 2 * SPACE_FLOOR:
        fail(EXIT_ENVIRONMENT, f"{out}: less than {2 * SPACE_FLOOR >> 20} MiB free on that disk")
    return out.resolve()


def interrupt(*_):
    raise KeyboardInterrupt


def commit():
    """What is being fuzzed: the commit, and whether the tree is something else by now."""
    def git(*args):
        r = subprocess.run(["git", "-C", ROOT, *args], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True)
        return r.stdout.strip()
    head = git("rev-parse", "--short=12", "HEAD")
    return (head + ("-dirty" if git("status", "--porcelain") else "")) or None


def write_json(path, data):
    tmp = path.with_name(path.name + ".tmp")
    with tmp.open("w") as f:
        json.dump(data, f, indent=1)
        f.write("\n")
        f.flush()
        os.fsync(f.fileno())
    tmp.replace(path)


def read_lines(path):
    """JSON lines of a file; a last line cut off by a kill is left out."""
    rows = []
    if path.is_file():
        for line in path.read_text(errors="replace").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
    return rows


def build(out, preset, *targets):
    log = out / f"build-{preset}.log"
    say(f"building {preset} ...")
    commands = [["cmake", "--preset", preset], ["cmake", "--build", "--preset", preset]]
    if targets:
        commands[1] += ["--target", *targets]
    with log.open("w") as f:
        for c in commands:
            if subprocess.run(c, cwd=ROOT, stdout=f, stderr=subprocess.STDOUT).returncode:
                sys.stderr.write("".join(log.read_text(errors="replace").splitlines(True)[-30:]))
                fail(EXIT_ENVIRONMENT, f"building {preset} failed; the whole log is {log}")
    return ROOT / "build" / preset


def make_seeds(out, tool):
    """The committed corpus as bytes, which is what fuzzers take."""
    n = 0
    for part in CORPUS:
        for prog in sorted((ROOT / "corpus" / part).rglob("*.prog")):
            seed = out / "seeds" / f"{part}-{prog.stem}"
            if not seed.exists():
                r = subprocess.run([tool, "fmt", "--no-expectations", "--to", "bytes", "-o", seed, prog],
                                   stderr=subprocess.PIPE, text=True)
                if r.returncode:
                    fail(EXIT_ENVIRONMENT, f"cannot encode {prog}: {r.stderr.strip()}")
            if seed.stat().st_size > 1 << 20:
                seed.unlink()
                say(f"  {prog.relative_to(ROOT)}: over 1 MiB as bytes, not a seed")
                continue
            n += 1
    if n == 0:
        fail(EXIT_ENVIRONMENT, "the corpus has no programs")
    return n


class LibFuzzer:
    """One libFuzzer process at a time.

    It ends at its first crash. From then on it runs in its fork mode, where the fuzzing is done by
    children whose crashes it survives: a bug that the seeds hit would otherwise end each start
    before the first input of its own.
    """

    # "#12\tNEW    cov: 3 ft: ...", in fork mode "#12: cov: 3 ft: ...", and once at the end the exact number.
    STATUS = re.compile(rb"^#(\d+):?\s+(?:\w+\s+)?cov: (\d+)|^stat::number_of_executed_units:\s*(\d+)",
                        re.MULTILINE)

    def __init__(self, out, binary, index, deadline):
        self.out, self.binary, self.index, self.deadline = out, binary, index, deadline
        self.log = out / "libfuzzer" / f"log-{index}"
        self.proc = None
        self.done = 0  # executions of processes that have ended
        self.now = 0
        self.cov = 0
        self.offset = 0
        self.tail = b""
        self.forked = False
        self.restarts = 0
        self.next_start = 0.0

    def start(self):
        left = int(self.deadline - time.time())
        if left < 1:
            return
        d = self.out / "libfuzzer"
        queues = sorted(p for p in (self.out / "afl").glob("*/queue") if p.is_dir())
        cmd = [self.binary, d / "corpus", self.out / "seeds", *queues,
               f"-max_total_time={left}", f"-artifact_prefix={d}/artifacts/", "-reload=1",
               "-print_final_stats=1", "-max_len=65536", "-len_control=0", "-timeout=10",
               "-rss_limit_mb=2048", "-detect_leaks=1"]
        if self.forked:
            cmd += ["-fork=1", "-ignore_crashes=1", "-ignore_timeouts=1", "-ignore_ooms=1"]
        (d / "tmp").mkdir(exist_ok=True)
        env = dict(os.environ, TMPDIR=str(d / "tmp"),
                   ASAN_OPTIONS="abort_on_error=0:symbolize=0:allocator_may_return_null=1")
        self.offset = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.proc = subprocess.Popen([str(c) for c in cmd], stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=subprocess.STDOUT, env=env, start_new_session=True)

    def read_log(self):
        """Takes in the whole lines that have been written since."""
        if not self.log.exists():
            return
        with self.log.open("rb") as f:
            f.seek(self.offset)
            data = f.read()
        data = data[:data.rfind(b"\n") + 1]
        self.offset += len(data)
        self.tail = (self.tail + data)[-4096:]
        for m in self.STATUS.finditer(data):
            self.now = max(self.now, int(m[1] or m[3]))
            self.cov = max(self.cov, int(m[2] or 0))

    def poll(self):
        code = self.proc.poll() if self.proc else None
        self.read_log()
        if self.proc is None:
            if time.time() >= self.next_start:
                self.start()
            return
        if code is None:
            return
        self.proc = None
        self.forked |= code in LIBFUZZER_FOUND
        self.done, self.now = self.done + self.now, 0
        if code not in LIBFUZZER_FOUND and code != 0 and time.time() < self.deadline - 1:
            raise RuntimeError(f"libFuzzer ended with status {code}; see {self.log}:\n"
                               + self.tail.decode(errors="replace")[-800:])
        self.restarts += 1
        # A bug that every input hits must not turn the campaign into a fork bomb.
        self.next_start = time.time() + min(10.0, 0.2 * self.restarts)

    @property
    def execs(self):
        return self.done + self.now


class Afl:
    """One afl-fuzz. Every third has no mutator of ours, for what only changing bytes would reach."""

    def __init__(self, out, binary, mutator, index, seconds):
        self.out = out
        self.name = "main" if index == 0 else f"s{index}"
        self.dir = out / "afl" / self.name
        self.log = out / "afl" / f"log-{self.name}"
        role = ["-M", self.name, "-F", out / "libfuzzer" / "corpus"] if index == 0 else ["-S", self.name]
        cmd = ["afl-fuzz", "-i", out / "seeds", "-o", out / "afl", *role, "-V", int(seconds),
               "-t", "2000+", "-m", "none", "--", binary]
        env = dict(os.environ, AFL_NO_UI="1", AFL_SKIP_CPUFREQ="1", AFL_AUTORESUME="1",
                   AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES="1", AFL_FORKSRV_INIT_TMOUT="20000",
                   AFL_IGNORE_SEED_PROBLEMS="1", AFL_SYNC_TIME="1", AFL_TRY_AFFINITY="1")
        if index % 3 != 2:
            env.update(AFL_CUSTOM_MUTATOR_LIBRARY=str(mutator), AFL_CUSTOM_MUTATOR_ONLY="1")
        before = self.stats()
        self.base = int(before.get("execs_done", 0))
        with self.log.open("ab") as log:
            self.proc = subprocess.Popen([str(c) for c in cmd], stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=subprocess.STDOUT, env=env, start_new_session=True)

    def stats(self):
        try:
            text = (self.dir / "fuzzer_stats").read_text(errors="replace")
        except OSError:
            return {}
        return dict(part for part in
                    ([x.strip() for x in line.split(":", 1)] for line in text.splitlines() if ":" in line))

    def live(self):
        """(executions of this session, edges): plot_data is written every 5 s, fuzzer_stats every 60."""
        stats = self.stats()
        execs, edges = int(stats.get("execs_done", 0)), int(stats.get("edges_found", 0))
        try:
            with (self.dir / "plot_data").open("rb") as f:
                head = f.readline().decode().lstrip("# ").strip().split(", ")
                f.seek(max(f.tell(), os.fstat(f.fileno()).st_size - 512))
                last = dict(zip(head, f.read().decode().splitlines()[-1].split(", ")))
            execs = max(execs, int(last["total_execs"]))
            edges = max(edges, int(last["edges_found"]))
        except (OSError, IndexError, KeyError, ValueError):
            pass  # not there yet, or half a line
        return max(0, execs - self.base), edges

    def poll(self, deadline):
        code = self.proc.poll()
        if code not in (None, 0) and time.time() < deadline - 2:
            raise RuntimeError(f"afl-fuzz {self.name} ended with status {code}; see {self.log}:\n"
                               + self.log.read_text(errors="replace")[-1200:])


def stop_process(proc):
    """Ends a fuzzer that this campaign started, with its children, by its own process group."""
    if proc is None or proc.poll() is not None:
        return
    for sig, wait in ((signal.SIGINT, 5), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(proc.pid, sig)
        except ProcessLookupError:
            return
        try:
            proc.wait(wait)
            return
        except subprocess.TimeoutExpired:
            continue


def crash_files(out):
    files = [p for p in (out / "libfuzzer" / "artifacts").iterdir() if p.is_file()]
    for p in (out / "afl").glob("*/crashes*/id*"):
        files.append(p)
    for p in (out / "afl").glob("*/hangs*/id*"):
        files.append(p)
    return sorted(files)


def status(t, afls, lfs, out):
    live = [a.live() for a in afls]
    return {"t": round(t, 1), "afl": sum(e for e, _ in live), "libfuzzer": sum(f.execs for f in lfs),
            "afl_edges": max((e for _, e in live), default=0),
            "libfuzzer_edges": max((f.cov for f in lfs), default=0), "crashes": len(crash_files(out))}


def rate(now, before, seconds):
    """AFL++ says what it has done only now and then: no news is not a rate of 0."""
    return f"{(now - before) / seconds:>7,.0f}/s" if now > before else f"{'-':>7}/s"


def fuzz(out, args, bins):
    """Runs both engines until the time is over. Returns what they did, whatever happened."""
    seconds = args.minutes * 60
    start = time.time()
    deadline = start + seconds
    n_afl = max(1, (args.jobs + 1) // 2)
    n_lf = max(1, args.jobs - n_afl)
    tty = sys.stdout.isatty()
    series = (out / "progress.jsonl").open("a", buffering=1)
    elapsed_before = sum(s["seconds"] for s in read_lines(out / "sessions.jsonl"))
    lfs, afls, why = [], [], "time is over"
    say(f"fuzzing for {args.minutes:g} min: {n_afl} AFL++, {n_lf} libFuzzer; logs under {out}")
    try:
        afls = [Afl(out, bins["afl"], bins["mutator"], i, seconds) for i in range(n_afl)]
        lfs = [LibFuzzer(out, bins["libfuzzer"], i, deadline) for i in range(n_lf)]
        noted = shown = 0.0
        previous = (0, 0, start)
        while time.time() < deadline:
            time.sleep(0.5)
            for f in lfs:
                f.poll()
            for a in afls:
                a.poll(deadline)
            if shutil.disk_usage(out).free < SPACE_FLOOR:
                why = f"less than {SPACE_FLOOR >> 20} MiB left on the disk"
                break
            now = time.time()
            if now - noted < 2:
                continue
            noted = now
            row = status(elapsed_before + now - start, afls, lfs, out)
            series.write(json.dumps(row) + "\n")
            if now - shown < (2 if tty else 15):
                continue
            shown = now
            dt = now - previous[2]
            line = (f"{int(now - start):5d}s  AFL++ {row['afl']:>9,} execs "
                    f"{rate(row['afl'], previous[0], dt)} {row['afl_edges']:>5} edges | "
                    f"libFuzzer {row['libfuzzer']:>9,} execs "
                    f"{rate(row['libfuzzer'], previous[1], dt)} "
                    f"{row['libfuzzer_edges']:>5} edges | crash files {row['crashes']}")
            if n_forked := sum(f.forked for f in lfs):
                line += f" | {n_forked} libFuzzer in fork mode: crashes do not end it"
            previous = (row["afl"], row["libfuzzer"], now)
            print("\r\x1b[K" + line if tty else line, end="" if tty else "\n", flush=True)
    except KeyboardInterrupt:
        why = "interrupted"
    except (OSError, RuntimeError) as e:
        why = str(e)
    finally:
        # A second Ctrl-C must not leave fuzzers behind.
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, signal.SIG_IGN)
        for f in lfs + afls:
            stop_process(f.proc)
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, interrupt)
    for f in lfs:
        try:
            f.next_start = float("inf")
            f.poll()
        except (OSError, RuntimeError):
            pass
    if tty:
        print()
    say(f"fuzzing ended: {why}")
    series.write(json.dumps(status(elapsed_before + time.time() - start, afls, lfs, out)) + "\n")
    series.close()
    stats = [a.stats() for a in afls]
    session = {
        "seconds": round(time.time() - start, 1), "why": why, "commit": args.commit,
        "libfuzzer_forked": any(f.forked for f in lfs),
        "afl": sum(max(0, int(s.get("execs_done", 0)) - a.base) for s, a in zip(stats, afls)),
        "libfuzzer": sum(f.execs for f in lfs),
        "edges": max((int(s.get("edges_found", 0)) for s in stats), default=0),
        "total_edges": max((int(s.get("total_edges", 0)) for s in stats), default=0),
        "libfuzzer_edges": max((f.cov for f in lfs), default=0),
        "stability": min((float(s["stability"].rstrip("%")) for s in stats if "stability" in s),
                         default=None),
    }
    with (out / "sessions.jsonl").open("a") as f:
        f.write(json.dumps(session) + "\n")
    return session


def run_json(out, name, cmd):
    """Runs a faultline command; its JSON lines go to DIR/name.jsonl. Returns the rows."""
    path = out / f"{name}.jsonl"
    tmp = out / f"{name}.jsonl.tmp"
    with tmp.open("w") as f, (out / f"{name}.log").open("w") as err:
        proc = subprocess.Popen([str(c) for c in cmd], stdout=f, stderr=err, cwd=ROOT,
                                start_new_session=True)
        try:
            code = proc.wait()
        except KeyboardInterrupt:
            stop_process(proc)
            code = -signal.SIGINT
    tmp.replace(path)
    rows = read_lines(path)
    if code not in (EXIT_CLEAN, EXIT_FINDING):
        say(f"  {name}: ended with {code}; what it said is in {out / (name + '.log')}")
    return rows


def minimise(tool, source, prog, bucket, *how):
    """The smallest program with that finding, in prog. False: none came of it."""
    try:
        r = subprocess.run([tool, "min", "--bucket", bucket, "--seconds", MIN_SECONDS, "-o", prog, *how, source],
                           cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10 * int(MIN_SECONDS),
                           start_new_session=True)
    except subprocess.TimeoutExpired:
        return False
    return r.returncode == 0 and prog.is_file()


def triage(out, tool):
    """Every crash file once through the sanitizer build: same bucket, same bug."""
    known = {f["bucket"]: f for f in read_lines(out / "findings.jsonl") if "bucket" in f}
    seen = {r["file"] for r in read_lines(out / "triaged.jsonl")}
    files = [p for p in crash_files(out) if str(p.relative_to(out)) not in seen]
    if files:
        say(f"sorting {len(files)} crash files ...")
    with (out / "triaged.jsonl").open("a", buffering=1) as done:
        for p in files:
            name = str(p.relative_to(out))
            if p.stat().st_size == 0 and p.name.find("da39a3ee5e6b4b0d3255bfef95601890afd80709") < 0:
                say(f"  {name}: empty, lost to a full disk")
                continue
            r = subprocess.run([tool, "run", "--json", "--check", "full", "--max-ops", MAX_OPS, p],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               errors="replace", start_new_session=True)
            found = [json.loads(x) for x in r.stdout.splitlines() if '"type":"finding"' in x]
            buckets = []
            for f in found:
                b = f["bucket"]
                buckets.append(b)
                if b in known:
                    known[b]["count"] = known[b].get("count", 1) + 1
                    continue
                prog = out / "findings" / f"{b}.prog"
                if not minimise(tool, p, prog, b, "--max-ops", MAX_OPS):
                    subprocess.run([tool, "fmt", "--no-expectations", "--to", "text", "-o", prog, p],
                                   stderr=subprocess.DEVNULL)
                f.update(file=str(prog.relative_to(out)), source=name, by="fuzzing", new=True,
                         count=1)
                known[b] = f
            done.write(json.dumps({"file": name, "buckets": buckets, "reproduced": bool(found)}) + "\n")
    return known


def minimise_swept(out, tool, row, prog):
    """A finding of the sweep, in a program of its own: by its fault if that brings it back."""
    source = ROOT / row["file"]
    by_run = " run " in row.get("reproduce", "")
    how = ["--fault", row["plan"]] if by_run and row.get("plan") else ["--sweep"]
    if minimise(tool, source, prog, row["bucket"], *how):
        row["reproduce"] = f"faultline {'run' if by_run else 'sweep'} {prog}"
    else:
        shutil.copyfile(source, prog)
    row.update(source=row["file"], file=str(prog.relative_to(out)))


def summarise(out, tool, known, sweep_rows, site_rows, old_buckets):
    sessions = read_lines(out / "sessions.jsonl")
    findings = list(known.values())
    for row in sweep_rows:
        if row.get("type") == "finding" and row["bucket"] not in known:
            prog = out / "findings" / f"{row['bucket']}.prog"
            if (ROOT / row["file"]).is_file():
                minimise_swept(out, tool, row, prog)
            row["by"] = "sweep"
            known[row["bucket"]] = row
            findings.append(row)
    for f in findings:
        f["new"] = f["bucket"] not in old_buckets
    with (out / "findings.jsonl.tmp").open("w") as f:
        for row in findings:
            f.write(json.dumps(row) + "\n")
    (out / "findings.jsonl.tmp").replace(out / "findings.jsonl")
    lost = [r["file"] for r in read_lines(out / "triaged.jsonl") if not r["reproduced"]]
    queue = {p.name for p in (out / "libfuzzer" / "corpus").iterdir()}
    afl_queue = [p for p in (out / "afl").glob("*/queue/id*")]
    total = lambda rows: next((r for r in rows if r.get("type") == "total"), {})
    summary = {
        "v": 1,
        "seconds": round(sum(s["seconds"] for s in sessions), 1),
        "executions": {"afl": sum(s["afl"] for s in sessions),
                       "libfuzzer": sum(s["libfuzzer"] for s in sessions)},
        "edges": max((s["edges"] for s in sessions), default=0),
        "total_edges": max((s["total_edges"] for s in sessions), default=0),
        "libfuzzer_edges": max((s["libfuzzer_edges"] for s in sessions), default=0),
        "stability": next((s["stability"] for s in reversed(sessions) if s.get("stability")), None),
        "corpus_files": len(queue) + len(afl_queue),
        "findings": [{k: f[k] for k in ("bucket", "by", "file", "new", "oracle", "what", "plan", "name", "count")
                      if k in f} for f in findings],
        "not_reproduced": lost,
        "sweep": total(sweep_rows),
        "sites": total(site_rows),
        "ended": sessions[-1]["why"] if sessions else "before fuzzing",
    }
    write_json(out / "summary.json", summary)
    return summary


def epilogue(out, s):
    n = len(s["findings"])
    new = sum(f["new"] for f in s["findings"])
    say("")
    say(f"executions  AFL++ {s['executions']['afl']:,}   libFuzzer {s['executions']['libfuzzer']:,}   "
        f"in {s['seconds']:.0f} s")
    say(f"coverage    {s['edges']} of {s['total_edges']} edges (AFL++)   "
        f"{s['libfuzzer_edges']} (libFuzzer)   corpus {s['corpus_files']} files")
    w = s["sweep"]
    if w:
        say(f"sweep       {w['files']} files: {w['met']} fault points met, {w['delivered']} delivered, "
            f"{w['benign']} of them benign, {w['masked']} masked")
    t = s["sites"]
    if t:
        say(f"sites       {t['reached']} of {t['sites']} reached, {t['failed']} failed, "
            f"{t['explained']} explained")
    say(f"findings    {n} ({new} new)")
    for f in s["findings"][:10]:
        plan = f" [fault {f['plan']}]" if f.get("plan") else ""
        say(f"  {f['bucket']} {f.get('oracle', '?')}: {f.get('what', '?')}{plan}")
        say(f"    {f['file']}")
    if n > 10:
        say(f"  ... and {n - 10} more in the report")
    if s["not_reproduced"]:
        say(f"            {len(s['not_reproduced'])} crash files that replay did not confirm: "
            "see the report")
    say(f"report      {out / 'report' / 'index.html'}")


def main(argv):
    args = parse_args(argv)
    out = prepare_dir(args)
    # A shell starts its background jobs with SIGINT ignored.
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, interrupt)
    args.commit = commit()
    if not (out / "campaign.json").exists():
        write_json(out / "campaign.json", {"v": 1, "started": time.strftime("%Y-%m-%d %H:%M:%S"),
                                           "commit": args.commit})
    old_buckets = {f["bucket"] for f in read_lines(out / "findings.jsonl") if "bucket" in f}
    interrupted = False
    try:
        asan = build(out, "asan", "faultline") / "faultline"
        bins = {e: build(out, e, "fuzz_lifecycle") / "fuzz_lifecycle" for e in ("libfuzzer", "afl")}
        dev = build(out, "dev", "faultline", "faultline_mutator") / "faultline"
        bins["mutator"] = dev.with_name("libfaultline_mutator.so")
        say(f"seeds: {make_seeds(out, dev)} programs of the corpus")
    except KeyboardInterrupt:
        fail(EXIT_ENVIRONMENT, f"interrupted before anything ran; --resume {out} goes on")
    session = fuzz(out, args, bins)
    interrupted = session["why"] == "interrupted"
    broken = session["why"] not in ("time is over", "interrupted") and "disk" not in session["why"]
    try:
        known = triage(out, asan)
        corpus = [ROOT / "corpus" / c for c in CORPUS
                  if any((ROOT / "corpus" / c).rglob("*.prog"))]
        corpus = [c.relative_to(ROOT) for c in corpus]
        say("sweeping faults over the corpus ...")
        sweep_rows = run_json(out, "sweep", [dev, "sweep", "--json", *corpus])
        site_rows = run_json(out, "sites", [dev, "sites", "--json", *corpus])
    except KeyboardInterrupt:
        say("interrupted; writing the report from what is there")
        known = {f["bucket"]: f for f in read_lines(out / "findings.jsonl") if "bucket" in f}
        sweep_rows, site_rows = read_lines(out / "sweep.jsonl"), read_lines(out / "sites.jsonl")
    summary = summarise(out, asan, known, sweep_rows, site_rows, old_buckets)
    report = subprocess.run(["/usr/bin/python3", ROOT / "reports" / "report.py", out])
    if report.returncode:
        fail(EXIT_ENVIRONMENT, f"the report could not be written; the data is in {out}")
    epilogue(out, summary)
    if broken:
        fail(EXIT_ENVIRONMENT, f"the fuzzing ended early: {session['why']}")
    return EXIT_FINDING if summary["findings"] else EXIT_CLEAN


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

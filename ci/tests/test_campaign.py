# SPDX-License-Identifier: GPL-2.0-only
"""The campaign end to end, short, and what it says to bad arguments."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CAMPAIGN = ROOT / "ci" / "campaign"
sys.path.insert(0, str(ROOT / "ci"))
import campaign as engine  # noqa: E402  (found by the line above)


def campaign(*args, **kw):
    return subprocess.run([CAMPAIGN, *map(str, args)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **kw)


class BadInput(unittest.TestCase):
    def setUp(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="faultline-"))
        self.addCleanup(shutil.rmtree, self.tmp)

    def test_directory_in_use(self):
        (self.tmp / "precious").write_text("mine")
        r = campaign("--out", self.tmp)
        self.assertEqual(r.returncode, 2)
        self.assertIn(str(self.tmp), r.stderr)
        self.assertEqual(os.listdir(self.tmp), ["precious"])

    def test_resume_of_nothing(self):
        r = campaign("--resume", self.tmp / "nowhere")
        self.assertEqual(r.returncode, 2)
        self.assertIn("nowhere", r.stderr)

    def test_unwritable(self):
        # root writes everywhere but below a file.
        (self.tmp / "file").write_text("")
        r = campaign("--out", self.tmp / "file" / "out")
        self.assertEqual(r.returncode, 3)
        self.assertEqual(len(r.stderr.strip().splitlines()), 1)

    def test_minutes(self):
        for m in ("0", "-1", "many", "nan"):
            self.assertEqual(campaign("--minutes", m).returncode, 2, m)

    def test_help(self):
        r = campaign("--help")
        self.assertEqual(r.returncode, 0)
        self.assertIn("--resume", r.stdout)


class ShallowBug(unittest.TestCase):
    """A bug that the seeds hit must not keep libFuzzer from fuzzing."""

    TARGET = """
        #include <stddef.h>
        int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
        int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
        {
            if (size && data[0] == 'x')
                __builtin_trap();
            return 0;
        }
    """

    def setUp(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="faultline-"))
        self.addCleanup(shutil.rmtree, self.tmp)
        for sub in ("seeds", "afl", "libfuzzer/corpus", "libfuzzer/artifacts"):
            (self.tmp / sub).mkdir(parents=True)

    def test_goes_on_in_fork_mode(self):
        (self.tmp / "t.c").write_text(self.TARGET)
        subprocess.run(["clang-14", "-fsanitize=fuzzer", "-o", self.tmp / "t", self.tmp / "t.c"], check=True)
        (self.tmp / "seeds" / "bad").write_text("xx")
        (self.tmp / "seeds" / "good").write_text("good")
        deadline = time.time() + 60
        f = engine.LibFuzzer(self.tmp, self.tmp / "t", 0, deadline)
        while time.time() < deadline and (not f.forked or f.now == 0):
            f.poll()
            time.sleep(0.1)
        engine.stop_process(f.proc)
        self.assertTrue(f.forked)
        self.assertGreater(f.now, 0)
        self.assertGreaterEqual(f.execs, f.now)
        self.assertTrue(any((self.tmp / "libfuzzer" / "artifacts").iterdir()))

    def test_status_lines(self):
        f = engine.LibFuzzer(self.tmp, self.tmp / "t", 0, 0)
        f.next_start = float("inf")

        def says(text, now, cov):
            with f.log.open("a") as log:
                log.write(text)
            f.poll()
            self.assertEqual((f.now, f.cov), (now, cov), text)

        says("#2\tINITED cov: 7 ft: 8 corp: 1/1b exec/s: 0 rss: 30Mb\n", 2, 7)
        says("#64\tNEW    cov: 12 ft", 2, 7)  # half a line
        says(": 13 corp: 2/2b\n", 64, 12)
        says("#128: cov: 31 ft: 40 corp: 5 exec/s 1000 oom/timeout/crash: 0/0/1 time: 1s job: 1\n", 128, 31)
        says("stat::number_of_executed_units: 131\n", 131, 31)


class Rate(unittest.TestCase):
    def test_no_news(self):
        self.assertEqual(engine.rate(3000, 1000, 2).strip(), "1,000/s")
        self.assertEqual(engine.rate(3000, 3000, 2).strip(), "-/s")


class Report(unittest.TestCase):
    def setUp(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="faultline-"))
        self.addCleanup(shutil.rmtree, self.tmp)

    def report(self):
        return subprocess.run([ROOT / "reports" / "report.py", self.tmp], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_broken_summary(self):
        for text in ("{", "[]", "{}", '{"v": 1}'):
            (self.tmp / "summary.json").write_text(text)
            r = self.report()
            self.assertEqual(r.returncode, 2, text)
            self.assertEqual(len(r.stderr.splitlines()), 1, r.stderr)
            self.assertIn("summary.json", r.stderr)

    def test_findings_of_both(self):
        (self.tmp / "summary.json").write_text('{"executions": {}, "findings": [], "sweep": {}}')
        rows = [{"bucket": "aa", "oracle": "digest", "what": "one", "plan": "op=1.slab@x:1", "file": "a.prog",
                 "by": "sweep", "reproduce": "faultline run corpus/seeds/a.prog --fault op=1.slab@x:1"},
                {"bucket": "bb", "oracle": "census", "what": "two", "file": "b.prog", "by": "fuzzing"}]
        (self.tmp / "findings.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        r = self.report()
        self.assertEqual(r.returncode, 0, r.stderr)
        page = (self.tmp / "report" / "index.html").read_text()
        self.assertIn("build/asan/faultline run corpus/seeds/a.prog --fault op=1.slab@x:1<", page)
        self.assertIn("build/asan/faultline run b.prog<", page)
        self.assertIn("2 findings", page)


class EndToEnd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = Path(tempfile.mkdtemp(prefix="faultline-"))
        cls.addClassCleanup(shutil.rmtree, cls.tmp)
        cls.out = cls.tmp / "out"
        cls.ran = campaign("--minutes", "0.2", "--jobs", "2", "--out", cls.out)

    def test_1_report(self):
        # Fuzzers may find something any day; what is tested is that it is said alike everywhere.
        found = json.loads((self.out / "summary.json").read_text())["findings"]
        self.assertEqual(self.ran.returncode, 1 if found else 0, self.ran.stdout + self.ran.stderr)
        page = (self.out / "report" / "index.html").read_text()
        self.assertIn(f"{len(found)} finding" if found else "Nothing found", page)
        self.assertNotRegex(page, r'(src|href)="https?:')
        self.assertIn(str(self.out / "report" / "index.html"), self.ran.stdout)

    def test_2_summary(self):
        s = json.loads((self.out / "summary.json").read_text())
        self.assertGreater(s["executions"]["afl"], 0)
        self.assertGreater(s["executions"]["libfuzzer"], 0)
        self.assertGreater(s["edges"], 100)
        self.assertEqual(s["sweep"]["met"], s["sweep"]["delivered"] + s["sweep"]["masked"])
        self.assertGreater(s["sweep"]["delivered"], 0)
        self.assertGreater(s["sites"]["failed"], 0)

    def test_3_interrupted_resume_still_reports(self):
        before = json.loads((self.out / "summary.json").read_text())
        (self.out / "report" / "index.html").unlink()
        p = subprocess.Popen([CAMPAIGN, "--resume", self.out, "--minutes", "30", "--jobs", "2"], cwd=ROOT,
                             text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             # as a shell starts its background jobs
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        log = self.out / "progress.jsonl"
        lines = len(log.read_text().splitlines())
        deadline = time.time() + 120
        while len(log.read_text().splitlines()) <= lines and time.time() < deadline:
            time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        said, _ = p.communicate(timeout=240)
        self.assertIn(p.returncode, (0, 1), said)
        self.assertIn("interrupted", said)
        self.assertTrue((self.out / "report" / "index.html").is_file())
        after = json.loads((self.out / "summary.json").read_text())
        self.assertGreater(after["seconds"], before["seconds"])
        self.assertGreater(after["executions"]["libfuzzer"], before["executions"]["libfuzzer"])
        left = subprocess.run(["pgrep", "-f", str(self.out)], stdout=subprocess.PIPE, text=True)
        self.assertEqual(left.stdout, "", "fuzzers were left behind")


if __name__ == "__main__":
    unittest.main()

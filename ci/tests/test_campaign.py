# SPDX-License-Identifier: GPL-2.0-only
"""The campaign end to end, short, and what it says to bad arguments."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CAMPAIGN = ROOT / "ci" / "campaign"


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


class EndToEnd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = Path(tempfile.mkdtemp(prefix="faultline-"))
        cls.addClassCleanup(shutil.rmtree, cls.tmp)
        cls.out = cls.tmp / "out"
        cls.ran = campaign("--minutes", "0.2", "--jobs", "2", "--out", cls.out)

    def test_1_report(self):
        self.assertEqual(self.ran.returncode, 0, self.ran.stdout + self.ran.stderr)
        page = (self.out / "report" / "index.html").read_text()
        self.assertIn("Nothing found", page)
        self.assertNotRegex(page, r'(src|href)="https?:')
        self.assertIn(str(self.out / "report" / "index.html"), self.ran.stdout)

    def test_2_summary(self):
        s = json.loads((self.out / "summary.json").read_text())
        self.assertGreater(s["executions"]["afl"], 0)
        self.assertGreater(s["executions"]["libfuzzer"], 0)
        self.assertGreater(s["edges"], 100)
        self.assertEqual(s["findings"], [])
        self.assertEqual(s["sweep"]["met"], s["sweep"]["delivered"] + s["sweep"]["masked"])
        self.assertGreater(s["sweep"]["delivered"], 0)
        self.assertGreater(s["sites"]["failed"], 0)

    def test_3_interrupted_resume_still_reports(self):
        before = json.loads((self.out / "summary.json").read_text())
        (self.out / "report" / "index.html").unlink()
        p = subprocess.Popen([CAMPAIGN, "--resume", self.out, "--minutes", "30", "--jobs", "2"], cwd=ROOT,
                             text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        log = self.out / "progress.jsonl"
        lines = len(log.read_text().splitlines())
        deadline = time.time() + 120
        while len(log.read_text().splitlines()) <= lines and time.time() < deadline:
            time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        said, _ = p.communicate(timeout=240)
        self.assertEqual(p.returncode, 0, said)
        self.assertIn("interrupted", said)
        self.assertTrue((self.out / "report" / "index.html").is_file())
        after = json.loads((self.out / "summary.json").read_text())
        self.assertGreater(after["seconds"], before["seconds"])
        self.assertGreater(after["executions"]["libfuzzer"], before["executions"]["libfuzzer"])
        left = subprocess.run(["pgrep", "-f", str(self.out)], stdout=subprocess.PIPE, text=True)
        self.assertEqual(left.stdout, "", "fuzzers were left behind")


if __name__ == "__main__":
    unittest.main()

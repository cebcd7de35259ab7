# SPDX-License-Identifier: GPL-2.0-only
"""The library that afl-fuzz loads, called as afl-fuzz calls it."""

import ctypes
import subprocess
import sys
import unittest

LIBRARY, FAULTLINE = sys.argv.pop(1), sys.argv.pop(1)
U8P = ctypes.POINTER(ctypes.c_ubyte)


def text(data):
    return subprocess.run([FAULTLINE, "fmt", "-"], input=data, stdout=subprocess.PIPE, check=True).stdout.decode()


class Mutator(unittest.TestCase):
    def setUp(self):
        self.lib = ctypes.CDLL(LIBRARY)
        self.lib.afl_custom_init.restype = ctypes.c_void_p
        self.lib.afl_custom_describe.restype = ctypes.c_char_p
        for f in ("fuzz", "trim", "post_process"):
            getattr(self.lib, "afl_custom_" + f).restype = ctypes.c_size_t
        self.data = [ctypes.c_void_p(self.lib.afl_custom_init(None, 7)) for _ in range(2)]

    def tearDown(self):
        for d in self.data:
            self.lib.afl_custom_deinit(d)

    def fuzz(self, d, data, add=b"", room=4096):
        out = U8P()
        n = self.lib.afl_custom_fuzz(d, ctypes.create_string_buffer(data, len(data) or 1), ctypes.c_size_t(len(data)),
                                     ctypes.byref(out), add or None, ctypes.c_size_t(len(add)),
                                     ctypes.c_size_t(room))
        return bytes(out[:n])

    def test_chain(self):
        data = twin = b"\0" * 16
        names = set()
        for i in range(300):
            before = data
            data = self.fuzz(self.data[0], before, before[:64] if i % 2 else b"")
            twin = self.fuzz(self.data[1], before, before[:64] if i % 2 else b"")
            self.assertEqual(data, twin)
            self.assertTrue(0 < len(data) <= 4096)
            names |= set(self.lib.afl_custom_describe(self.data[0], ctypes.c_size_t(200)).decode().split("+"))
        self.assertTrue({"insert", "arg", "splice", "fault", "bytes"} <= names, names)
        self.assertGreater(len(text(data).splitlines()), 3)

    def test_trim_keeps_what_it_must(self):
        source = b"# faultline 1\nt0: mm_alloc()\nt0: t1 = fork()\nt0: mm_alloc()\nt1: exit()\nt0: yield()\n"
        data = subprocess.run([FAULTLINE, "fmt", "--to", "bytes", "-"], input=source, stdout=subprocess.PIPE,
                              check=True).stdout
        d, best, done = self.data[0], data, 0
        steps = self.lib.afl_custom_init_trim(d, data, ctypes.c_size_t(len(data)))
        self.assertEqual(steps, 1)
        for _ in range(1000):
            out = U8P()
            n = self.lib.afl_custom_trim(d, ctypes.byref(out))
            cand = bytes(out[:n])
            good = "exit()" in text(cand)
            best = cand if good else best
            done = self.lib.afl_custom_post_trim(d, ctypes.c_ubyte(good))
            if done:
                break
        self.assertTrue(done)
        self.assertEqual(text(best), "# faultline 1\nt0: exit()\n")

    def test_nothing_to_trim(self):
        self.assertEqual(self.lib.afl_custom_init_trim(self.data[0], b"", ctypes.c_size_t(0)), 0)

    def test_whole_records(self):
        out = U8P()
        buf = ctypes.create_string_buffer(40)
        n = self.lib.afl_custom_post_process(self.data[0], buf, ctypes.c_size_t(40), ctypes.byref(out))
        self.assertEqual(n, 32)
        self.assertEqual(self.lib.afl_custom_post_process(self.data[0], buf, ctypes.c_size_t(5),
                                                          ctypes.byref(out)), 5)


if __name__ == "__main__":
    unittest.main()

"""librotor_kernels as it is installed, in a project that knows nothing of Rotor's tree. Needs no GPU."""

import os
import pathlib
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["ROTOR_BUILD"])
CMAKE = os.environ["ROTOR_CMAKE"]
CONSUMER = pathlib.Path(__file__).parent / "consumer"


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


class Package(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.prefix = self.folder / "prefix"
        run(CMAKE, "--install", BUILD, "--prefix", self.prefix, "--component", "kernels")

    def test_a_project_finds_and_uses_it(self):
        built = self.folder / "built"
        run(CMAKE, "-S", CONSUMER, "-B", built, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run(CMAKE, "--build", built)
        # 256 tiles of 32 chunks, each 1024 bytes of codes and 64 of scales
        self.assertEqual(run(built / "consumer").split(), ["0.1.0", str(256 * 32 * (1024 + 64))])

    def test_it_exports_its_header_and_nothing_else(self):
        library, = [path for path in self.prefix.rglob("librotor_kernels.so*") if not path.is_symlink()]
        symbols = run("nm", "-D", "--defined-only", "--format=just-symbols", library).split()
        header = next(self.prefix.rglob("rotor_kernels.h")).read_text()
        self.assertGreater(len(symbols), 8)
        strangers = [symbol for symbol in symbols if f"{symbol}(" not in header]
        self.assertEqual(strangers, [])


if __name__ == "__main__":
    unittest.main()

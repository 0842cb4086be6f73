"""Who may include whom: the arrows of docs/architecture.md."""

import os
import pathlib
import re
import sys
import unittest

SOURCE = pathlib.Path(os.environ.get("ROTOR_SOURCE_DIR", pathlib.Path(__file__).parents[1]))
ALLOWED = {
    "quant": set(),
    "model": {"quant"},
    "kernels": {"quant"},
    "proto": {"quant", "model", "rotor", "google"},
    "worker": {"quant", "model", "kernels", "proto", "rotor"},
    "coordinator": {"quant", "model", "proto", "rotor"},
    "ops": {"quant", "model", "proto", "rotor"},
}
# Generated headers of the API are used where proto/ may be used.
FOLDERS = set(ALLOWED) | {"rotor"}
SERVICE = re.compile(r"#include [<\"](grpcpp|grpc|mpi\.h|cuda|nccl|sqlite3|rotor/v1)")
INCLUDE = re.compile(r'#include "([a-z0-9_]+)/')


def sources(folder):
    for suffix in ("*.h", "*.cpp", "*.cu", "*.cuh"):
        yield from (SOURCE / folder).rglob(suffix)


class Arrows(unittest.TestCase):
    def test_includes_follow_the_arrows(self):
        seen = 0
        for folder, allowed in ALLOWED.items():
            for path in sources(folder):
                seen += 1
                for target in INCLUDE.findall(path.read_text()):
                    if target in FOLDERS and target != folder:
                        self.assertIn(target, allowed, f"{path} includes {target}/")
        self.assertGreater(seen, 100)

    def test_libraries_know_no_service(self):
        for folder in ("quant", "model"):
            for path in sources(folder):
                found = SERVICE.search(path.read_text())
                self.assertIsNone(found, f"{path}: {found and found.group(0)}")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])

"""Every row of the list of faults (docs/faults.md) has a registered test.

A test belongs to a row if its name holds faults.NN or FaultsNN_. Usage: list_test.py BUILD_DIR
"""

import pathlib
import re
import subprocess
import sys

FAULTS = pathlib.Path(__file__).parents[2] / "docs" / "faults.md"


def main():
    listing = subprocess.run(["ctest", "--test-dir", sys.argv[1], "-N"], capture_output=True,
                             text=True, check=True).stdout
    found = {int(row) for row in re.findall(r"[Ff]aults\.?(\d\d)[._]", listing)}
    rows = {int(row) for row in re.findall(r"^\| (\d+) \|", FAULTS.read_text(), re.MULTILINE)}
    missing = sorted(rows - found)
    if not rows:
        sys.exit(f"{FAULTS}: no rows")
    if missing:
        sys.exit("no test for " + ", ".join(f"faults.{row:02d}" for row in missing))
    print(f"{len(found)} rows have tests: " + ", ".join(f"faults.{row:02d}" for row in sorted(found)))


if __name__ == "__main__":
    main()

"""Every row of the list of faults that this version answers for has a registered test.

A test belongs to a row if its name holds faults.NN or FaultsNN_. Usage: list_test.py BUILD_DIR
"""

import re
import subprocess
import sys

# Kills and resumes; stopped and stale workers; two coordinators; torn stores; flipped bits; full and
# failing disks; short writes; no descriptors; cut connections and watchers; the same submit many
# times; cancelling; no device memory; draining; changed sources; replaced shards; hostile files, paths and calls; bad
# outputs; bad numbers; idle experts; shapes; certificates and tokens; calibration; sources out of sight, touched and
# swapped; names that collide; state that is lost or old; a full state disk; stopped ranks; crowds; strangers.
ROWS = (1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
        28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)


def main():
    listing = subprocess.run(["ctest", "--test-dir", sys.argv[1], "-N"], capture_output=True,
                             text=True, check=True).stdout
    found = {int(row) for row in re.findall(r"[Ff]aults\.?(\d\d)[._]", listing)}
    missing = sorted(set(ROWS) - found)
    if missing:
        sys.exit("no test for " + ", ".join(f"faults.{row:02d}" for row in missing))
    print(f"{len(found)} rows have tests: " + ", ".join(f"faults.{row:02d}" for row in sorted(found)))


if __name__ == "__main__":
    main()

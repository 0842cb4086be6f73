"""The files that run Rotor elsewhere, each through its own checker: systemd units through
`systemd-analyze verify`, scripts through shellcheck."""

import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(os.environ["ROTOR_SOURCE_DIR"])
BIN = pathlib.Path(os.environ["ROTOR_BIN"])
SCRIPTS = ("build", "install-dependencies", "package", "quickstart", "test", "slurm/rotor-gang.sbatch")


def check(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr.strip():
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def main():
    check("shellcheck", *(ROOT / "ops" / name for name in SCRIPTS))
    units = sorted((ROOT / "ops" / "systemd").glob("*.service"))
    assert len(units) == 2, units
    with tempfile.TemporaryDirectory() as name:
        for unit in units:
            # The programs are asked for where this build has them.
            text = unit.read_text().replace("/usr/bin/rotor-", f"{BIN}/rotor-")
            copy = pathlib.Path(name) / unit.name
            copy.write_text(text)
            check("systemd-analyze", "verify", "--recursive-errors=no", copy)
    print(f"{len(SCRIPTS)} scripts and {len(units)} units pass")


if __name__ == "__main__":
    main()

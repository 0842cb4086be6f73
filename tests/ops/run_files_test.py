"""The files that run Rotor elsewhere, each through its own checker: systemd units through
`systemd-analyze verify`, scripts through shellcheck. The dashboard asks only for metrics that the coordinator has."""

import json
import os
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(os.environ["ROTOR_SOURCE_DIR"])
BIN = pathlib.Path(os.environ["ROTOR_BIN"])
SCRIPTS = ("build", "install-dependencies", "package", "quickstart", "test", "slurm/rotor-gang.sbatch")


def check(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr.strip():
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def check_dashboard():
    """Every series that it asks for, without a histogram's suffix, is a name in the sources; none is forgotten."""
    sources = "".join(path.read_text() for path in (ROOT / "coordinator" / "observe").glob("*.cpp"))
    known = set(re.findall(r'"(rotor_[a-z_]+)"', sources))
    panels = json.loads((ROOT / "ops" / "grafana" / "rotor.json").read_text())["panels"]
    asked = {re.sub("_bucket$", "", name) for panel in panels for target in panel["targets"]
             for name in re.findall(r"rotor_[a-z_]+", target["expr"])}
    if asked != known:
        raise AssertionError(f"dashboard and coordinator differ: {sorted(asked ^ known)}")
    return len(panels)


def check_container():
    """The image that runs has the packages that the programs start, from the one list of them."""
    stages = (ROOT / "ops" / "container" / "Containerfile").read_text().split("\nFROM ")
    assert "install-dependencies --programs" in stages[-1], stages[-1]
    listed = re.search(r"^programs=\((.*)\)$", (ROOT / "ops" / "install-dependencies").read_text(), re.MULTILINE)
    for package in ("openmpi-bin", "python3", "python3-jinja2"):
        assert package in listed[1].split(), (package, listed[1])


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
    panels = check_dashboard()
    check_container()
    print(f"{len(SCRIPTS)} scripts, {len(units)} units and {panels} panels pass")


if __name__ == "__main__":
    main()

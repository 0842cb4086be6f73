"""A coordinator and gangs of workers started by hand, as an operator would, for the fault tests."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))
import harness  # noqa: E402

ROTOR = str(harness.BIN / "rotor")


@contextlib.contextmanager
def running(command, **options):
    with subprocess.Popen(list(map(str, command)), **options) as process:
        try:
            yield process
        finally:
            for pid in [p[0] for p in harness.descendants(process.pid)] + [process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def coordinator(directory, *options):
    """A running coordinator; yields its address."""
    directory = pathlib.Path(directory)
    command = [harness.BIN / "rotor-coordinator", "--state-dir", directory / "state", "--listen",
               "127.0.0.1:0", "--port-file", directory / "port", "--model-root", harness.SOURCE,
               "--data-root", harness.SOURCE, "--output-root", directory, "--log-level", "off",
               *options]
    with running(command) as process:
        while not (directory / "port").exists():
            if process.poll() is not None:
                raise AssertionError("the coordinator did not start")
            time.sleep(0.02)
        yield "127.0.0.1:" + (directory / "port").read_text().split()[0]


def gang(address, ranks=2, bind_to="none", env=None, log=subprocess.DEVNULL, drain_seconds=25):
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    wait = ["--mca", "odls_base_sigkill_timeout", drain_seconds] if drain_seconds else []
    return running(["mpirun", *as_root, "--oversubscribe", "--bind-to", bind_to, *wait,
                    "-n", ranks, harness.BIN / "rotor-worker",
                    "--coordinator", address, "--device", "cpu", "--threads", "1"],
                   stdout=log, stderr=log, env={**os.environ, **(env or {})})


def ranks_of(started, expected):
    """Process ids of a gang's workers, once all are there."""
    deadline = time.monotonic() + 60
    while True:
        pids = sorted(p[0] for p in harness.descendants(started.pid) if p[2] == "rotor-worker")
        if len(pids) == expected:
            return pids
        if time.monotonic() > deadline or started.poll() is not None:
            raise AssertionError(f"expected {expected} workers, found {pids}")
        time.sleep(0.02)


def submit(address, output, calibration, *options):
    return harness.run([ROTOR, "submit", str(harness.MODEL), "--output", str(output), "--format",
                        "nvfp4", *calibration, *options, "--coordinator", address, "-o",
                        "json"])["job"]


def ask(address, command, job):
    return harness.run([ROTOR, command, job, "--coordinator", address, "-o", "json"])


@contextlib.contextmanager
def events(address, job, start=0):
    """An iterator over the job's events as they come."""
    with running([ROTOR, "watch", job, "--from", start, "--coordinator", address, "-o", "jsonl"],
                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as watch:
        yield (json.loads(line) for line in watch.stdout)

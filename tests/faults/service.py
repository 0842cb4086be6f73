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
    """A process that is killed at the end, with all that it started."""
    with subprocess.Popen(list(map(str, command)), **options) as process:
        try:
            yield process
        finally:
            for pid in [p[0] for p in harness.descendants(process.pid)] + [process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def coordinator_command(directory, *options, listen="127.0.0.1:0"):
    return [harness.BIN / "rotor-coordinator", "--state-dir", directory / "state", "--listen",
            listen, "--port-file", directory / "port", "--model-root", harness.SOURCE,
            "--data-root", harness.SOURCE, "--output-root", directory,
            *([] if "--log-level" in options else ["--log-level", "warning"]), *options]


@contextlib.contextmanager
def coordinator_process(directory, *options, **popen):
    """A running coordinator; its ports are in `ports`, those of other listeners as NAME=PORT."""
    port_file = directory / "port"
    port_file.unlink(missing_ok=True)
    with running(coordinator_command(directory, *options), **popen) as process:
        while not port_file.exists():
            if process.poll() is not None:
                raise AssertionError("the coordinator did not start")
            time.sleep(0.02)
        process.ports = port_file.read_text().split()
        yield process


@contextlib.contextmanager
def coordinator(directory, *options):
    """A running coordinator; yields its address."""
    with coordinator_process(pathlib.Path(directory), *options) as process:
        yield f"127.0.0.1:{process.ports[0]}"


@contextlib.contextmanager
def disturbed_job(calibration, *options):
    """A job on a coordinator with these options, for its test to disturb until it ends: yields a directory, the
    coordinator's address and the job. Then its checkpoint has to have the bytes of an undisturbed run."""
    with harness.temporary_directory() as name:
        directory = pathlib.Path(name)
        reference = directory / "reference"
        harness.run(harness.quantize_command(reference, "--ranks", 1, "--threads", 2, calibration=calibration))
        with coordinator(directory, *options) as address:
            yield directory, address, submit(address, directory / "out", calibration)
        harness.assert_same_bytes(harness.digests(directory / "out"), harness.digests(reference), "a disturbed job")


def gang_command(address, *options, ranks=2, bind_to="none", drain_seconds=25):
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    wait = ["--mca", "odls_base_sigkill_timeout", drain_seconds] if drain_seconds else []
    return ["mpirun", *as_root, "--oversubscribe", "--bind-to", bind_to, *wait, "-n", ranks,
            harness.BIN / "rotor-worker", "--coordinator", address, "--device", "cpu", "--threads", "1", *options]


def gang(address, env=None, log=subprocess.DEVNULL, **how):
    return running(gang_command(address, **how), stdout=log, stderr=log, env={**os.environ, **(env or {})})


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

"""A group of workers is stopped for longer than its lease lasts, then wakes: as long as it runs it keeps
its lease, however long a layer takes; stopped, it loses it; awake, it is leased the rest, and the
checkpoint has the bytes of an undisturbed run.

faults.05 (a straggler is not flagged yet), faults.06.
"""

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

LAYERS = 4
LEASE_SECONDS = 3.0
# A layer takes about as long as a lease lasts.
CALIBRATION = ["--calibration", str(harness.TEXT), "--sequences", "64", "--seq-len", "512"]


@contextlib.contextmanager
def running(command, **options):
    with subprocess.Popen(list(map(str, command)), **options) as process:
        try:
            yield process
        finally:
            for pid in [p[0] for p in harness.descendants(process.pid)] + [process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def start_coordinator(directory):
    return running([harness.BIN / "rotor-coordinator", "--state-dir", directory / "state",
                    "--listen", "127.0.0.1:0", "--port-file", directory / "port", "--model-root",
                    harness.SOURCE, "--data-root", harness.SOURCE, "--output-root", directory,
                    "--lease-seconds", LEASE_SECONDS, "--heartbeat-seconds", LEASE_SECONDS / 8,
                    "--log-level", "off"])


def start_gang(address):
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return running(["mpirun", *as_root, "--oversubscribe", "--bind-to", "none", "-n", "2",
                    harness.BIN / "rotor-worker", "--coordinator", address, "--device", "cpu",
                    "--threads", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def signal_workers(gang, number):
    workers = [p[0] for p in harness.descendants(gang.pid) if p[2] == "rotor-worker"]
    if len(workers) != 2:
        raise AssertionError(f"expected two workers, found {workers}")
    for pid in workers:
        os.kill(pid, number)


def follow(watch, gang):
    """Stops the workers after the first commit until the lease is lost; returns every event."""
    events, stopped = [], False
    for line in watch.stdout:
        event = json.loads(line)
        events.append(event)
        if event.get("event") == "lost":
            if not stopped:
                raise AssertionError(f"a running group lost its lease: {events}")
            signal_workers(gang, signal.SIGCONT)
        elif event.get("event") == "committed" and not stopped:
            signal_workers(gang, signal.SIGSTOP)
            stopped = True
    return events


def check(events, report):
    lost = [event for event in events if event.get("event") == "lost"]
    if [event["reason"] for event in lost] != ["EXPIRED"]:
        raise AssertionError(f"expected one lease that ran out: {lost}")
    committed = [event["layer"] for event in events if event.get("event") == "committed"]
    if sorted(committed) != list(range(LAYERS)):
        raise AssertionError(f"every layer once, not {committed}")
    if report["state"] != "SUCCEEDED" or report["computed_layers"] != LAYERS:
        raise AssertionError(report)


def main():
    with harness.temporary_directory() as name:
        directory = pathlib.Path(name)
        reference = directory / "reference"
        harness.run(harness.quantize_command(reference, "--ranks", 1, "--threads", 2,
                                             calibration=CALIBRATION))
        with start_coordinator(directory) as coordinator:
            while not (directory / "port").exists():
                if coordinator.poll() is not None:
                    raise AssertionError("the coordinator did not start")
                time.sleep(0.02)
            address = "127.0.0.1:" + (directory / "port").read_text().strip()
            at = ["--coordinator", address, "-o"]
            rotor = str(harness.BIN / "rotor")
            job = harness.run([rotor, "submit", str(harness.MODEL), "--output",
                               str(directory / "out"), "--format", "nvfp4", *CALIBRATION, *at,
                               "json"])["job"]
            with start_gang(address) as gang, running(
                    [rotor, "watch", job, *at, "jsonl"], stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL, text=True) as watch:
                events = follow(watch, gang)
            report = harness.run([rotor, "report", job, *at, "json"])
        check(events, report)
        harness.assert_same_bytes(harness.digests(directory / "out"), harness.digests(reference),
                                  "workers stopped")
        print("stopped, lost, woken: the same bytes")


if __name__ == "__main__":
    main()

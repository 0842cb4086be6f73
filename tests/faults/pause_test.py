"""A pause lets the layer under way be committed before the gang is idle, and a resumed job says how it comes forward
through its committed layers: every layer is made once. The job is named by the beginning of its ID, and a watcher
says when the coordinator is gone and back.

faults.20 (a pause, as a signal, loses no layer).
"""

import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
import service  # noqa: E402
from service import harness  # noqa: E402

# A layer has to take longer than the word of its first stage takes to come here, and the pause back.
CALIBRATION = ["--calibration", str(harness.TEXT), "--sequences", "96", "--seq-len", "256"]


def leases(address):
    workers = harness.run([service.ROTOR, "workers", "--coordinator", address, "-o", "json"])["workers"]
    return [worker["lease"] for worker in workers if "lease" in worker]


def wait_for(what, condition):
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about")
        time.sleep(0.05)


def pause_within_a_layer():
    with service.disturbed_job(CALIBRATION) as (_, address, job):
        short = job[:len("jobs/") + 6]
        with service.gang(address), service.events(address, job) as events:
            next(event for event in events if event.get("event") == "stage")
            if service.ask(address, "pause", short)["state"] != "PAUSED":
                raise AssertionError("the job is not paused")
            if [lease["job"] for lease in leases(address)] != [job]:
                raise AssertionError("the gang gave its layer up")
            wait_for("an idle gang", lambda: not leases(address))
            report = service.ask(address, "report", short)
            if (report["committed_layers"], report["state"]) != (1, "PAUSED"):
                raise AssertionError(f"not one layer of a paused job: {report}")
            service.ask(address, "resume", short)
            forward = next(event for event in events if event.get("event") == "forward")
            if (forward["layer"], forward["until_layer"]) != (0, 1):
                raise AssertionError(f"not through layer 0 to layer 1: {forward}")
            lost = [event["reason"] for event in events if event.get("event") == "lost"]
        if service.ask(address, "report", job)["computed_layers"] != 4 or lost:
            raise AssertionError(f"layers were made again, or leases lost: {lost}")


def watch_through_a_restart():
    with harness.temporary_directory() as name:
        directory = pathlib.Path(name)
        with service.coordinator_process(directory) as first:
            address = f"127.0.0.1:{first.ports[0]}"
            job = service.submit(address, directory / "out", CALIBRATION)
            watch = subprocess.Popen([service.ROTOR, "watch", job, "--coordinator", address, "--timeout", "1"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if "PENDING" not in watch.stderr.readline():
                raise AssertionError("the watch does not begin with the job's first event")
            first.kill()
            first.wait()
        if "is gone" not in (line := watch.stderr.readline()):
            raise AssertionError(f"the watch does not say that the coordinator is gone: {line}")
        command = service.coordinator_command(directory, listen=address)
        with service.running(command):
            if "is back" not in (line := watch.stderr.readline()):
                raise AssertionError(f"the watch does not say that the coordinator is back: {line}")
            service.ask(address, "cancel", job)
            if watch.wait(30) != 1:
                raise AssertionError("the watch did not see the job cancelled")


if __name__ == "__main__":
    pause_within_a_layer()
    watch_through_a_restart()
    print("paused within a layer: it was committed, and every layer was made once")

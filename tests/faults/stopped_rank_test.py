"""One rank of a gang is stopped in the middle of a job: the others, which wait for it in a collective
over MPI, name it and end the gang; the next one goes on to the bytes of an undisturbed run. A rank that
is only slow, running a tenth of the time, is named a straggler, and loses nothing.

faults.38, faults.05.
"""

import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
import service  # noqa: E402
from service import harness  # noqa: E402

RANKS = 2
SILENT_SECONDS = 4
STRAGGLER_SECONDS = 5
# How long the end of a gang may take once it is asked for: mpirun's 25 s for a drain, and a margin.
END_SECONDS = 40
CALIBRATION = ["--calibration", str(harness.TEXT), "--sequences", "48", "--seq-len", "256"]


def start_gang(address, log):
    # Without mpirun's wait for ranks that drain: it would wait for the stopped one, too.
    return service.gang(address, ranks=RANKS, log=log, drain_seconds=0, env={
        "ROTOR_SILENT_RANK_SECONDS": str(SILENT_SECONDS),
        "ROTOR_STRAGGLER_SECONDS": str(STRAGGLER_SECONDS)})


def stopped(address, job, rank, log):
    """Stops a rank in a layer's first stages; returns how long the gang lived on."""
    revision = service.ask(address, "status", job)["revision"]  # what was before is another gang's
    with open(log, "wb") as file, start_gang(address, file) as gang, \
            service.events(address, job, revision + 1) as events:
        ranks = service.ranks_of(gang, RANKS)
        next(event for event in events if event.get("event") == "stage")
        os.kill(ranks[rank], signal.SIGSTOP)
        start = time.monotonic()
        code = gang.wait(SILENT_SECONDS + END_SECONDS)
        took = time.monotonic() - start
    text = pathlib.Path(log).read_text(errors="replace")
    name = f"rank {rank} of {RANKS}, process {ranks[rank]} on {os.uname().nodename}"
    if code == 0 or f"{name}, has given no sign of life" not in text:
        raise AssertionError(f"exit code {code}, and {name} is not named:\n{text}")
    print(f"rank {rank} stopped: the gang ended after {took:.1f} s, exit code {code}", flush=True)


def slow(address, job, log):
    """A rank that runs a tenth of the time, until it is named; then the gang does the rest."""
    named = "is a straggler: the others spend most of their time waiting for it"
    over = threading.Event()

    def slow_down(pid):
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            over.wait(0.18)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)

    with open(log, "wb") as file, start_gang(address, file) as gang, \
            service.events(address, job) as events:
        pid = service.ranks_of(gang, RANKS)[1]
        next(event for event in events if event.get("event") == "leased")
        slower = threading.Thread(target=slow_down, args=(pid,))
        slower.start()
        try:
            deadline = time.monotonic() + 120
            while named not in pathlib.Path(log).read_text(errors="replace"):
                if time.monotonic() > deadline or gang.poll() is not None:
                    raise AssertionError("the straggler was not named:\n" +
                                         pathlib.Path(log).read_text(errors="replace"))
                time.sleep(0.1)
        finally:
            over.set()
            slower.join()
        lost = [e for e in events if e.get("event") == "lost" and e["reason"] != "WORKER_LOST"]
    text = pathlib.Path(log).read_text(errors="replace")
    if f"rank 1 of {RANKS}, process {pid}" not in text or "no sign of life" in text or lost:
        raise AssertionError(f"{lost}\n{text}")
    print("a slow rank was named, and the gang went on with it", flush=True)


def main():
    with service.disturbed_job(CALIBRATION) as (directory, address, job):
        stopped(address, job, 1, directory / "log-1")
        stopped(address, job, 0, directory / "log-0")
        slow(address, job, directory / "log-slow")
        report = service.ask(address, "report", job)
        if report["state"] != "SUCCEEDED" or report["computed_layers"] != report["layers"]:
            raise AssertionError(report)


if __name__ == "__main__":
    main()

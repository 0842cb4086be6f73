"""A group of workers is stopped for longer than its lease lasts, then wakes: as long as it runs it keeps
its lease, however long a layer takes; stopped, it loses it; awake, it is leased the rest, and the
checkpoint has the bytes of an undisturbed run.

faults.05 (what names a straggler: stopped_rank_test.py), faults.06.
"""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(__file__))
import service  # noqa: E402
from service import harness  # noqa: E402

LAYERS = 4
LEASE_SECONDS = 3.0
# A layer takes about as long as a lease lasts.
CALIBRATION = ["--calibration", str(harness.TEXT), "--sequences", "64", "--seq-len", "512"]


def follow(events, ranks):
    """Stops the workers after the first commit until the lease is lost; returns every event."""
    seen, stopped = [], False

    def signal_workers(number):
        for pid in ranks:
            os.kill(pid, number)

    for event in events:
        seen.append(event)
        if event.get("event") == "lost":
            if not stopped:
                raise AssertionError(f"a running group lost its lease: {seen}")
            signal_workers(signal.SIGCONT)
        elif event.get("event") == "committed" and not stopped:
            signal_workers(signal.SIGSTOP)
            stopped = True
    return seen


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
    with service.disturbed_job(CALIBRATION, "--lease-seconds", LEASE_SECONDS, "--heartbeat-seconds",
                               LEASE_SECONDS / 8) as (_, address, job):
        with service.gang(address) as gang, service.events(address, job) as coming:
            events = follow(coming, service.ranks_of(gang, 2))
        check(events, service.ask(address, "report", job))
    print("stopped, lost, woken: the same bytes")


if __name__ == "__main__":
    main()

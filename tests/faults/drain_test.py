"""Told to stop by SIGTERM or SIGUSR1, a gang commits the layer under way and exits with 75, whatever
threads its libraries started before main, however it is bound to cores, and whichever rank the signal
came to. Four gangs, each stopped in its first layer, make a model of four layers, and no layer twice.

faults.20.
"""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(__file__))
import service  # noqa: E402
from service import harness  # noqa: E402

RANKS = 2
# (binding, signal, ranks that get it)
STOPS = (("none", signal.SIGTERM, (0, 1)), ("none", signal.SIGUSR1, (0, 1)),
         ("core", signal.SIGTERM, (0, 1)), ("core", signal.SIGUSR1, (1,)))
# A layer has to take longer than the word of its first stage takes to come here, and the signal back.
CALIBRATION = ["--calibration", str(harness.TEXT), "--sequences", "128", "--seq-len", "256"]


def drain(address, job, binding, number, targets):
    """Runs a gang until a stage of its first layer is done, then stops it."""
    revision = service.ask(address, "status", job)["revision"]
    # OpenBLAS then starts its threads as the program is loaded, where there is more than one core.
    # The ranks get the signal themselves, so mpirun need not wait for them.
    with service.gang(address, ranks=RANKS, bind_to=binding, drain_seconds=0,
                      env={"OPENBLAS_NUM_THREADS": "4"}) as gang, \
            service.events(address, job, revision + 1) as events:
        ranks = service.ranks_of(gang, RANKS)
        next(event for event in events if event.get("event") == "stage")
        for target in targets:
            os.kill(ranks[target], number)
        code = gang.wait(120)
    if code != 75:
        raise AssertionError(f"--bind-to {binding}, {number.name}: exit code {code}, not 75")


def main():
    with service.disturbed_job(CALIBRATION) as (_, address, job):
        for done, stop in enumerate(STOPS, 1):
            drain(address, job, *stop)
            report = service.ask(address, "report", job)
            if report["committed_layers"] != done or report["computed_layers"] != done:
                raise AssertionError(f"after {stop} not {done} layers: {report}")
        with service.events(address, job) as events:
            every = list(events)
        lost = [e["reason"] for e in every if e.get("event") == "lost"]
        if lost != ["DRAINED"] * (len(STOPS) - 1):
            raise AssertionError(f"leases lost: {lost}")
    print("four gangs stopped in the middle of a layer: every layer once, the same bytes")


if __name__ == "__main__":
    main()

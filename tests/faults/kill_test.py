"""kill -9 at random moments: the finished checkpoint has the bytes of an undisturbed run, and no layer
that was committed is computed again.

faults.01 (random moments; failpoints apart), faults.02, faults.03, faults.21.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))
import harness  # noqa: E402

LAYERS = 4


def victims(kind, root):
    """Process ids to kill, empty where they are not up yet."""
    below = harness.descendants(root)
    workers = [p for p in below if p[2] == "rotor-worker"]
    launchers = [p for p in below if p[2] in ("mpirun", "orterun")]
    coordinators = [p for p in below if "rotor-coordinator" in p[3] and p[2] != "mpirun"]
    if kind == "worker":
        return [random.choice(workers)[0]] if workers else []
    if kind == "mpirun":
        return [p[0] for p in launchers + workers] if launchers else []
    if kind == "coordinator":
        return [p[0] for p in coordinators]
    # All at once, the command itself first: nothing may be left to clean up after the others.
    return [root] + [p[0] for p in below] if workers else []


def kill_once(kind, command, delay):
    """Starts the job, kills after `delay` seconds, returns (killed, exit code)."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as job:
        time.sleep(delay)
        killed = []
        while not killed and job.poll() is None:
            killed = victims(kind, job.pid)
            time.sleep(0.01)
        for pid in killed:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            output, _ = job.communicate(timeout=180)
        except subprocess.TimeoutExpired:
            job.kill()
            raise AssertionError(f"the job hung after the death of {kind}") from None
    return bool(killed), job.returncode, output.decode(errors="replace")


def disturbed_run(kind, directory, number, duration, expected, rank_counts):
    output = f"{directory}/{kind}-{number}"
    command = harness.quantize_command(output, "--ranks", min(2, max(rank_counts)), "--threads", 1)
    delay = random.uniform(0.0, duration)
    killed, code, text = kill_once(kind, command, delay)
    if kind != "all" and code != 0:
        raise AssertionError(f"{kind} killed after {delay:.2f} s: exit code {code}\n{text[-4000:]}")
    # After a death of everything the same command goes on; after a success it reports it again.
    ranks = random.choice(rank_counts)
    again = harness.quantize_command(output, "--ranks", ranks, "--threads", 1)
    report = harness.run(again)
    if report["state"] != "SUCCEEDED":
        raise AssertionError(report)
    harness.assert_same_bytes(harness.digests(output), expected,
                              f"{kind} killed after {delay:.2f} s")
    if report["computed_layers"] != LAYERS:
        raise AssertionError(f"{report['computed_layers']} layers were committed, not {LAYERS}")
    print(f"{kind}: kill after {delay:.2f} s of {duration:.2f} s, "
          f"{'hit' if killed else 'too late'}, resumed {report['resumed_layers']}", flush=True)
    return killed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("victim", choices=("worker", "mpirun", "coordinator", "all"))
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 3],
                        help="numbers of ranks that a job may go on with: at most one a GPU")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    with harness.temporary_directory() as directory:
        reference = f"{directory}/reference"
        start = time.monotonic()
        harness.run(harness.quantize_command(reference, "--ranks", 1, "--threads", 2))
        duration = time.monotonic() - start
        expected = harness.digests(reference)
        hits = 0
        number = 0
        while hits < arguments.moments:
            if number >= 3 * arguments.moments:
                raise AssertionError(f"only {hits} kills hit in {number} runs")
            hits += disturbed_run(arguments.victim, directory, number, duration, expected,
                                  arguments.ranks)
            number += 1
    print(f"{hits} kills, all resumed to the same bytes")


if __name__ == "__main__":
    main()

"""Small jobs, one behind the other, on a coordinator and two gangs, while at random moments a rank, a gang, the
coordinator or all of them are killed, a rank or the coordinator is stopped for a while, or the network between
them is cut. Whatever dies is started again, as an operator's units would, and nothing else is done by hand: every
job has to end, with the bytes of an undisturbed run. The same seed gives the same blows in the same order.

faults.01, faults.02, faults.03, faults.05, faults.15, faults.21, faults.38 (rows among others).
"""

import argparse
import collections
import contextlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
import service  # noqa: E402
from cut_proxy import CutProxy  # noqa: E402
from service import harness  # noqa: E402

CALIBRATION = ["--calibration", str(harness.TEXT), "--sequences", "8", "--seq-len", "128"]
FORMATS = ("nvfp4", "mxfp4")
GANGS = 2
RANKS = 2
BLOWS = ("rank", "gang", "coordinator", "all", "stop rank", "stop coordinator", "cut")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kill_tree(process):
    victims = [process.pid] + [p[0] for p in harness.descendants(process.pid)]
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGKILL)
    process.wait()


class Cluster:
    """The processes, kept alive by keep()."""

    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.proxy = CutProxy(self.port)
        self.log = open(directory / "log", "ab")
        self.coordinator, self.gangs, self.wakes = None, [None] * GANGS, []

    def start_coordinator(self):
        command = service.coordinator_command(self.directory, "--lease-seconds", 6, "--heartbeat-seconds", 1,
                                              listen=self.address)
        return subprocess.Popen(list(map(str, command)), stdout=self.log, stderr=self.log)

    def start_gang(self):
        command = service.gang_command(f"127.0.0.1:{self.proxy.port}", ranks=RANKS)
        return subprocess.Popen(list(map(str, command)), stdout=self.log, stderr=self.log,
                                env={**os.environ, "ROTOR_SILENT_RANK_SECONDS": "5"})

    def keep(self):
        """Starts what is not there, and ends stops and cuts that are over."""
        for wake in [w for w in self.wakes if w[0] <= time.monotonic()]:
            self.wakes.remove(wake)
            wake[1]()
        if self.coordinator is None or self.coordinator.poll() is not None:
            self.coordinator = self.start_coordinator()
        for i, gang in enumerate(self.gangs):
            if gang is None or gang.poll() is not None:
                if gang is not None and gang.returncode == 78:
                    raise AssertionError("a gang says that its configuration is wrong")
                self.gangs[i] = self.start_gang()

    def later(self, seconds, what):
        self.wakes.append((time.monotonic() + seconds, what))

    def ranks(self):
        return [p[0] for gang in self.gangs if gang is not None
                for p in harness.descendants(gang.pid) if p[2] == "rotor-worker"]

    def stop(self, pid, seconds):
        def wake():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGSTOP)
        self.later(seconds, wake)

    def strike(self, blow, where, seconds):
        """`where` in [0, 1) chooses the victim among those there are. False: there was none."""
        with contextlib.suppress(ProcessLookupError):
            ranks = self.ranks()
            if "rank" in blow and not ranks:
                return False
            if blow == "rank":
                os.kill(ranks[int(where * len(ranks))], signal.SIGKILL)
            elif blow == "stop rank":
                self.stop(ranks[int(where * len(ranks))], seconds)
            elif blow == "gang":
                kill_tree(self.gangs[int(where * GANGS)])
            elif blow == "coordinator":
                kill_tree(self.coordinator)
            elif blow == "stop coordinator":
                self.stop(self.coordinator.pid, seconds)
            elif blow == "cut":
                self.proxy.cut()
                self.later(seconds, self.proxy.mend)
            else:
                for process in [self.coordinator, *self.gangs]:
                    kill_tree(process)
            return True
        return False  # it ended by itself in that moment

    def close(self):
        for process in [self.coordinator, *self.gangs]:
            if process is not None:
                kill_tree(process)
        self.proxy.close()
        self.log.close()


def references(directory):
    """The digests of each format, and the seconds that a job takes on this machine as it is now."""
    found, begin = {}, time.monotonic()
    for number_format in FORMATS:
        output = directory / f"reference-{number_format}"
        harness.run(harness.quantize_command(output, "--ranks", 1, "--threads", 2, "--format", number_format,
                                             calibration=CALIBRATION))
        found[number_format] = harness.digests(output)
    return found, (time.monotonic() - begin) / len(FORMATS)


class Soak:
    def __init__(self, cluster, expected, job_seconds, blows, seed):
        self.cluster, self.expected = cluster, expected
        # A blow about twice in the time of a job; one that takes a hundred times as long hangs.
        self.pace, self.patience = job_seconds, 100 * job_seconds
        self.left, self.random = blows, random.Random(seed)
        self.struck, self.jobs = collections.Counter(), 0
        self.next_blow = time.monotonic()

    def step(self):
        self.cluster.keep()
        if self.left > 0 and time.monotonic() >= self.next_blow:
            blow = self.random.choice(BLOWS)
            # Most stops and cuts are short; some outlast the lease and what a silent rank is allowed.
            seconds, where = self.random.uniform(0.1, 1.0) ** 3 * 8, self.random.random()
            self.next_blow = time.monotonic() + self.random.uniform(0.05, 1.0) * self.pace
            if self.cluster.strike(blow, where, seconds):
                self.struck[blow] += 1
                self.left -= 1
        time.sleep(0.02)

    def status(self, job):
        command = [service.ROTOR, "status", job, "--coordinator", self.cluster.address, "--timeout", "1", "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return harness.json.loads(done.stdout) if done.returncode == 0 else {}

    def submit(self, output, number_format):
        """Under one request id until it is answered: one job, however often the coordinator dies meanwhile."""
        command = [service.ROTOR, "submit", str(harness.MODEL), "--output", str(output), "--format", number_format,
                   *CALIBRATION, "--request-id", output.name, "--coordinator", self.cluster.address,
                   "--timeout", "2", "-o", "json"]
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                while process.poll() is None:
                    self.step()
                answer = process.stdout.read()
            if process.returncode == 0:
                return harness.json.loads(answer)["job"]
            if process.returncode != 69:
                raise AssertionError(f"submit: exit code {process.returncode}: {answer}")
        raise AssertionError("a job could not be submitted")

    def run_job(self):
        number_format = FORMATS[self.jobs % len(FORMATS)]
        output = self.cluster.directory / f"job-{self.jobs}"
        job = self.submit(output, number_format)
        deadline, look = time.monotonic() + self.patience, 0
        while True:
            self.step()
            if time.monotonic() < look:
                continue
            look = time.monotonic() + 0.3
            status = self.status(job)
            if status.get("state") == "SUCCEEDED":
                break
            paused = status.get("cause", {}).get("reason") if status.get("state") == "PAUSED" else None
            if status.get("state") in ("FAILED", "CANCELLED") or paused or time.monotonic() > deadline:
                raise AssertionError(f"{job} needs a hand: {status}")
        harness.assert_same_bytes(harness.digests(output), self.expected[number_format], job)
        if status["committed_layers"] != status["layers"]:
            raise AssertionError(f"{job} ended without all layers: {status}")
        self.jobs += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with harness.temporary_directory() as name:
        directory = pathlib.Path(name)
        expected, job_seconds = references(directory)
        cluster = Cluster(directory)
        soak = Soak(cluster, expected, job_seconds, arguments.blows, arguments.seed)
        begin = time.monotonic()
        try:
            while soak.left > 0:
                soak.run_job()
        except BaseException:
            print(f"after {sum(soak.struck.values())} blows ({dict(soak.struck)}) and {soak.jobs} jobs; the log's end:")
            print((directory / "log").read_text(errors="replace")[-6000:], flush=True)
            raise
        finally:
            cluster.close()
    kinds = ", ".join(f"{count} {blow}" for blow, count in sorted(soak.struck.items()))
    print(f"{sum(soak.struck.values())} blows ({kinds}) in {time.monotonic() - begin:.0f} s: {soak.jobs} jobs, "
          "0 differing bytes, 0 that needed a hand")


if __name__ == "__main__":
    main()

"""The `rotor` command line with the real coordinator, mpirun and workers, on the demo model.

ROTOR_BIN names the folder of the programs, ROTOR_SOURCE_DIR the repository.
"""

import json
import math
import os
import pathlib
import pty
import signal
import subprocess
import tempfile
import time
import unittest

import numpy

BIN = pathlib.Path(os.environ["ROTOR_BIN"])
MODEL = pathlib.Path(os.environ["ROTOR_SOURCE_DIR"]) / "demo" / "model"
TEXT = pathlib.Path(os.environ["ROTOR_SOURCE_DIR"]) / "demo" / "text" / "demo-generated.json"
SMALL = ["--calibration", TEXT, "--sequences", "8", "--seq-len", "64"]
# Takes some seconds, so that a test can strike in the middle.
LARGE = ["--calibration", TEXT, "--sequences", "64", "--seq-len", "512"]
LOCAL = ["--device", "cpu", "--threads", "1"]


def rotor(*arguments, env=None, timeout=300):
    return subprocess.run([BIN / "rotor", *map(str, arguments)], capture_output=True, text=True,
                          env=env, timeout=timeout, check=False)


def start_rotor(*arguments):
    return subprocess.Popen([BIN / "rotor", *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.05)


def processes_of(mark):
    """Ids of processes that a test started, at whatever distance: its mark is in their environment."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def committed(folder):
    """Layers that a running quantize has committed so far, from its worker's point of view."""
    log = folder / ".out.rotor" / "coordinator.log"
    return log.read_text(errors="replace").count("committed") if log.exists() else 0


class Case(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="rotor-cli-")
        self.addCleanup(self._folder.cleanup)
        self.folder = pathlib.Path(self._folder.name)
        self.out = self.folder / "out"
        # Of this process itself the kernel shows the environment that it was started with.
        os.environ["ROTOR_TEST_MARK"] = str(self.folder)

    def succeed(self, *arguments, **options):
        done = rotor(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def json_of(self, *arguments):
        return json.loads(self.succeed(*arguments, "-o", "json").stdout)

    def error_of(self, code, *arguments, **options):
        done = rotor(*arguments, "-o", "json", **options)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return json.loads(done.stdout)["error"]


class Coordinator:
    def __init__(self, folder):
        self.folder = folder
        self.port_file = folder / "port"
        self.process = subprocess.Popen(
            [BIN / "rotor-coordinator", "--state-dir", folder / "state", "--listen", "127.0.0.1:0",
             "--port-file", self.port_file, "--model-root", MODEL.parent, "--data-root", TEXT.parent,
             "--output-root", folder, "--log-level", "off"])
        wait_until(lambda: self.port_file.exists() and self.port_file.read_text().strip())
        self.address = "127.0.0.1:" + self.port_file.read_text().strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class Service(Case):
    """submit and the commands that take a job, against a coordinator without workers."""

    def setUp(self):
        super().setUp()
        self.coordinator = Coordinator(self.folder)
        self.addCleanup(self.coordinator.stop)
        self.at = ["--coordinator", self.coordinator.address]

    def submit(self, *more):
        return self.json_of("submit", MODEL, "--output", self.out, *SMALL, *self.at, *more)

    def test_a_job_from_submit_to_delete(self):
        job = self.submit()
        self.assertEqual(job["state"], "PENDING")
        self.assertEqual(job["layers"], 4)
        self.assertEqual(job["spec"]["method"], "mr-gptq")
        self.assertEqual(job["spec"]["rotation"], 0)
        self.assertEqual(job["spec"]["merged_rotation"], 0)
        name = job["job"]
        self.assertEqual([j["job"] for j in self.json_of("jobs", *self.at)["jobs"]], [name])
        self.assertEqual(self.json_of("jobs", "--state", "RUNNING", *self.at)["jobs"], [])
        self.assertEqual(self.json_of("status", name, *self.at)["state"], "PENDING")
        self.assertEqual(self.json_of("pause", name, *self.at)["state"], "PAUSED")
        self.assertEqual(self.json_of("resume", name, *self.at)["state"], "PENDING")
        self.assertEqual(self.json_of("report", name, *self.at)["modules"], [])
        self.assertEqual(self.error_of(2, "delete", name, *self.at)["code"], "FAILED_PRECONDITION")
        self.assertEqual(self.json_of("cancel", name, *self.at)["state"], "CANCELLED")
        watched = rotor("watch", name, "-o", "jsonl", *self.at)
        self.assertEqual(watched.returncode, 1)
        lines = [json.loads(line) for line in watched.stdout.splitlines()]
        self.assertEqual([line["revision"] for line in lines[:-1]], list(range(1, len(lines))))
        self.assertTrue(self.json_of("delete", name, *self.at)["deleted"])
        self.assertEqual(self.error_of(2, "status", name, *self.at)["code"], "NOT_FOUND")

    def test_one_request_id_is_one_job(self):
        first = self.submit("--request-id", "mine")
        self.assertEqual(self.submit("--request-id", "mine")["job"], first["job"])
        error = self.error_of(2, "submit", MODEL, "--output", self.out, *SMALL, *self.at,
                              "--request-id", "mine", "--format", "mxfp4")
        self.assertIn("format", error["details"]["differences"])

    def test_validation_stores_nothing(self):
        plan = self.submit("--validate-only")
        self.assertGreater(plan["estimate"]["output_bytes"], 0)
        self.assertEqual(self.json_of("jobs", *self.at)["jobs"], [])
        done = rotor("submit", self.folder / "none", "--output", self.out, *SMALL, *self.at,
                     "--validate-only", "-o", "json")
        self.assertEqual(done.returncode, 2)
        self.assertTrue(json.loads(done.stdout)["problems"])


class Quantize(Case):
    """All in one, on the demo model."""

    def quantize(self, *more):
        return self.json_of("quantize", MODEL, "--output", self.out, *SMALL, *LOCAL, *more)

    def test_the_result_and_its_keys(self):
        result = self.quantize("--ranks", "2", "--eval-text", TEXT, "--eval-sequences", "4")
        for key in ("job", "state", "output", "seconds", "resumed_layers", "fallbacks", "modules"):
            self.assertIn(key, result)
        self.assertEqual(result["state"], "SUCCEEDED")
        self.assertEqual(result["output"], str(self.out.resolve()))
        self.assertEqual(result["computed_layers"], 4)
        self.assertEqual(len(result["modules"]), 28)
        for module in result["modules"]:
            self.assertGreater(module["relative_error"], 0)
            self.assertLess(module["relative_error"], 0.5)
            self.assertEqual(module["rotation"], 0)
            self.assertEqual(module["method"], "mr-gptq")
        self.assertGreater(result["perplexity"], 1)
        self.assertTrue((self.out / "model.safetensors").exists())
        self.assertFalse(processes_of(str(self.folder)))

    def test_a_finished_job_is_not_run_again(self):
        first = self.quantize()
        before = (self.out / "model.safetensors").stat().st_mtime_ns
        again = rotor("quantize", MODEL, "--output", self.out, *SMALL, *LOCAL)
        self.assertEqual(again.returncode, 0)
        self.assertIn("already done", again.stderr)
        self.assertIn(first["job"], again.stdout)
        self.assertEqual((self.out / "model.safetensors").stat().st_mtime_ns, before)

    def test_other_options_are_refused_with_the_difference(self):
        self.quantize()
        line = ["quantize", MODEL, "--output", self.out, *SMALL, *LOCAL, "--format", "mxfp4"]
        error = self.error_of(2, *line)
        self.assertIn("format", error["details"]["differences"])
        self.assertIn("--restart", error["details"]["remedy"])
        self.assertEqual(self.error_of(2, *line, "--restart")["reason"], "OUTPUT_EXISTS")
        for file in self.out.iterdir():
            file.unlink()
        self.out.rmdir()
        self.assertEqual(self.json_of(*line, "--restart")["spec"]["format"], "mxfp4")

    def test_lines_without_a_terminal_and_a_bar_on_one(self):
        done = self.succeed("quantize", MODEL, "--output", self.out, *SMALL, *LOCAL)
        self.assertIn("layer 3 committed (4/4)", done.stderr)
        self.assertNotIn("\x1b", done.stderr + done.stdout)
        self.assertIn("checkpoint", done.stdout)
        primary, secondary = pty.openpty()
        with subprocess.Popen(
                [BIN / "rotor", "quantize", MODEL, "--output", self.folder / "other", *SMALL,
                 *LOCAL], stdout=subprocess.DEVNULL, stderr=secondary,
                env={**os.environ, "TERM": "xterm"}) as process:
            os.close(secondary)
            shown = b""
            while True:
                try:
                    piece = os.read(primary, 4096)
                except OSError:
                    break
                if not piece:
                    break
                shown += piece
        os.close(primary)
        self.assertEqual(process.returncode, 0)
        self.assertIn(b"\r\x1b[K[", shown)
        self.assertIn(b"/4 layers", shown)


class Interruption(Case):
    """What is stopped goes on; what is killed goes on; nothing is left behind."""

    def start(self):
        process = start_rotor("quantize", MODEL, "--output", self.out, *LARGE, *LOCAL, "-o", "json")
        self.addCleanup(process.kill)
        wait_until(lambda: committed(self.folder) > 0, 240)
        return process

    def finish(self):
        result = self.json_of("quantize", MODEL, "--output", self.out, *LARGE, *LOCAL)
        self.assertEqual(result["state"], "SUCCEEDED")
        self.assertGreater(result["resumed_layers"], 0)
        self.assertEqual(result["computed_layers"], 4)
        wait_until(lambda: not processes_of(str(self.folder)), 30)

    def test_sigterm_drains_and_exits_with_75(self):
        process = self.start()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75)
        self.assertEqual(json.loads(out)["error"]["reason"], "INTERRUPTED")
        self.assertFalse(processes_of(str(self.folder)))
        self.finish()

    def test_killed_it_takes_its_programs_along_and_resumes(self):
        process = self.start()
        process.kill()
        process.communicate()
        wait_until(lambda: not processes_of(str(self.folder)), 40)
        self.finish()

    def test_a_second_run_on_the_same_output_is_refused(self):
        process = self.start()
        error = self.error_of(2, "quantize", MODEL, "--output", self.out, *LARGE, *LOCAL)
        self.assertEqual(error["reason"], "ALREADY_RUNNING")
        self.assertEqual(error["details"]["process"], str(process.pid))
        process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0)


class Checkpoint(Case):
    """eval, verify and inspect, on the demo model and on what is made of it."""

    def test_before_and_after(self):
        evaluation = ["--text", TEXT, "--sequences", "4", "--seq-len", "256", "--device", "cpu"]
        losses = self.folder / "losses.npy"
        before = self.json_of("eval", MODEL, *evaluation, "--losses", losses)
        each = numpy.load(losses)
        self.assertEqual((each.shape, each.dtype), ((4, 255), numpy.float32))
        self.assertAlmostEqual(math.log(before["perplexity"]), each.mean(dtype=float), places=6)
        for key in ("perplexity", "tokens", "sequences", "seconds"):
            self.assertIn(key, before)
        self.assertEqual(before["tokens"], 4 * 255)
        self.assertFalse(self.json_of("inspect", MODEL)["quantized"])
        # A calibration set of more tokens than a linear has inputs.
        self.succeed("quantize", MODEL, "--output", self.out, "--calibration", TEXT,
                     "--sequences", "32", "--seq-len", "256", *LOCAL)
        after = self.json_of("eval", self.out, *evaluation)
        self.assertLess(abs(after["perplexity"] / before["perplexity"] - 1), 0.2)
        verified = self.json_of("verify", self.out)
        self.assertTrue(verified["ok"])
        self.assertEqual(len(verified["modules"]), 28)
        inspected = self.json_of("inspect", self.out)
        self.assertEqual(inspected["format"], "nvfp4")
        self.assertEqual(len(inspected["report"]), 28)
        self.assertIn("error", self.succeed("inspect", self.out).stdout)
        # A damaged checkpoint is found.
        with open(self.out / "model.safetensors", "r+b") as file:
            file.truncate(100_000)
        damaged = rotor("verify", self.out, "-o", "json")
        self.assertEqual(damaged.returncode, 1)
        self.assertFalse(json.loads(damaged.stdout)["ok"])

    def test_verify_asks_whether_an_engine_runs_it(self):
        self.succeed("quantize", MODEL, "--output", self.out, *SMALL, *LOCAL, "--rotation", "128")
        self.assertTrue(self.json_of("verify", self.out, "--serve-on", "vllm,gpu=hopper")["ok"])
        error = self.error_of(1, "verify", self.out, "--serve-on", "vllm,tp=2")
        self.assertEqual(error["reason"], "NOT_SERVABLE")
        self.assertIn("choose --rotation none or merged:BLOCK, or serve with tp=1",
                      error["message"])
        text = self.succeed("verify", self.out).stdout
        self.assertIn("sound, but not for every engine", text)
        self.assertIn("SGLang 0.5.23: loads and is wrong", text)

    def test_what_cannot_be_evaluated(self):
        error = self.error_of(2, "eval", self.folder, "--text", TEXT, "--device", "cpu")
        self.assertEqual(error["code"], "NOT_FOUND")
        self.assertEqual(error["reason"], "FILE_NOT_FOUND")
        self.assertIn(str(self.folder), error["details"]["file"])
        short = self.error_of(2, "eval", MODEL, "--text", TEXT, "--seq-len", "1000000", *LOCAL)
        self.assertNotIn("see above", short["message"])
        self.assertTrue(short["reason"])


class Failures(Case):
    """What is wrong around the program: the message and the exit code."""

    def test_nobody_answers(self):
        error = self.error_of(69, "jobs", "--coordinator", "127.0.0.1:1", "--timeout", "0.5")
        self.assertEqual(error["reason"], "UNREACHABLE")
        self.assertIn("127.0.0.1:1", error["message"])

    def test_the_port_is_in_use(self):
        coordinator = Coordinator(self.folder)
        self.addCleanup(coordinator.stop)
        second = subprocess.run(
            [BIN / "rotor-coordinator", "--state-dir", self.folder / "other", "--listen",
             coordinator.address, "--model-root", MODEL, "--output-root", self.folder],
            capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(second.returncode, 78)
        self.assertIn("in use", second.stderr)

    def test_mpirun_is_missing(self):
        error = self.error_of(78, "quantize", MODEL, "--output", self.out, *SMALL,
                              env={"PATH": str(self.folder)})
        self.assertEqual(error["details"]["program"], "mpirun")
        self.assertIn("openmpi-bin", error["details"]["remedy"])
        self.assertFalse(self.out.exists())

    def test_bad_input_is_refused_before_any_work(self):
        no_text = self.error_of(2, "quantize", MODEL, "--output", self.out)
        self.assertIn("--calibration", no_text["message"])
        no_model = self.error_of(2, "quantize", self.folder / "none", "--output", self.out, *SMALL)
        self.assertIn("none", no_model["message"])
        self.out.mkdir()
        exists = self.error_of(2, "quantize", MODEL, "--output", self.out, *SMALL)
        self.assertEqual(exists["reason"], "OUTPUT_EXISTS")


if __name__ == "__main__":
    unittest.main()

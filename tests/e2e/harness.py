"""What the end-to-end and fault tests share: running `rotor`, finding its processes, comparing outputs.

Needs ROTOR_BIN (the folder of the built programs) and ROTOR_SOURCE_DIR in the environment; ctest sets
both. ROTOR_TEST_DEVICE says what the jobs run on, cpu where it is not set. Uses the demo model of the
repository and nothing from outside it.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import tempfile

BIN = pathlib.Path(os.environ["ROTOR_BIN"])
SOURCE = pathlib.Path(os.environ["ROTOR_SOURCE_DIR"])
DEVICE = os.environ.get("ROTOR_TEST_DEVICE", "cpu")
MODEL = SOURCE / "demo" / "model"
TEXT = SOURCE / "demo" / "text" / "demo-generated.json"

# Small enough for seconds a job, large enough that every lane has work and GPTQ differs from rounding.
CALIBRATION = ["--calibration", str(TEXT), "--sequences", "24", "--seq-len", "256"]


def quantize_command(output, *options, model=MODEL, calibration=None):
    """The argument list of one quantize run with two threads in all."""
    return [str(BIN / "rotor"), "quantize", str(model), "--output", str(output), "--device", DEVICE,
            *([] if "--format" in options else ["--format", "nvfp4"]), *(CALIBRATION if calibration is None else calibration),
            *map(str, options), "-o", "json"]


def run(command, expect=0, timeout=300):
    """Runs to the end; returns the JSON object on stdout. Fails with all output otherwise."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != expect:
        raise AssertionError(
            f"exit code {done.returncode}, expected {expect}: {' '.join(command)}\n"
            f"--- stdout\n{done.stdout}\n--- stderr\n{done.stderr[-6000:]}")
    return json.loads(done.stdout) if done.stdout.strip() else {}


def perplexity(directory, sequences=8):
    """Of a model or a checkpoint, over windows of 64 tokens of the demo's text."""
    return run([str(BIN / "rotor"), "eval", str(directory), "--text", str(TEXT), "--device", "cpu",
                "--sequences", str(sequences), "--seq-len", "64", "-o", "json"])["perplexity"]


def digests(directory):
    """sha256 of every file below a directory, by relative path."""
    root = pathlib.Path(directory)
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def assert_same_bytes(got, expected, what):
    if got != expected:
        names = sorted(n for n in set(got) | set(expected) if got.get(n) != expected.get(n))
        raise AssertionError(f"{what}: files differ from the undisturbed run: {names}")


def temporary_directory():
    return tempfile.TemporaryDirectory(prefix="rotor-test-")


def processes():
    """(pid, parent, program name, command line) of every live process."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        name = stat[stat.index("(") + 1:stat.rindex(")")]
        fields = stat[stat.rindex(")") + 2:].split()
        if fields[0] != "Z":
            found.append((int(entry.name), int(fields[1]), name, line))
    return found


def descendants(root):
    """Live processes below `root`, as processes() gives them."""
    every = processes()
    below, frontier = [], {root}
    while frontier:
        children = [p for p in every if p[1] in frontier]
        below += children
        frontier = {p[0] for p in children}
    return below


def tensors_of(directory):
    """Name -> (dtype, shape) of every tensor, from the files' headers."""
    tensors = {}
    for path in directory.glob("*.safetensors"):
        data = path.read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        header.pop("__metadata__", None)
        tensors |= {name: (entry["dtype"], entry["shape"]) for name, entry in header.items()}
    return tensors

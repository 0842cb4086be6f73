"""The checkpoints that are made and the commands of Rotor that make and measure them."""

import json
import pathlib
import subprocess

# Windows that are evaluated. With a4 two runs differ by noise (interop.py), which more of them average out.
SEQUENCES = {"a16": 4, "a4": 32}
SEQ_LEN = 256


def seq_len(model):
    """Of the windows: what the model takes, if that is less."""
    config = json.loads((pathlib.Path(model) / "config.json").read_text())
    text = config.get("text_config", config)
    return min(SEQ_LEN, text["max_position_embeddings"], text.get("index_topk", SEQ_LEN))


# By name: what `rotor quantize` is told. Calibration is short: this is about bytes, not quality.
RECIPES = {
    "ct-nvfp4-a16": ["--format", "nvfp4"],
    "ct-nvfp4-a16-rotated": ["--format", "nvfp4", "--rotation", "16"],
    "ct-nvfp4-a4": ["--format", "nvfp4", "--activations", "a4"],
    "ct-nvfp4-a4-rotated": ["--format", "nvfp4", "--activations", "a4", "--rotation", "16"],
    "ct-nvfp4-a4-merged": ["--format", "nvfp4", "--activations", "a4", "--rotation", "merged:16"],
    "ct-mxfp4-a16": ["--format", "mxfp4", "--rotation", "none"],
    "ct-mxfp4-a16-rotated": ["--format", "mxfp4", "--rotation", "128"],
    "ct-mxfp4-a4": ["--format", "mxfp4", "--activations", "a4", "--rotation", "none"],
    "ct-mxfp4-a4-rotated": ["--format", "mxfp4", "--activations", "a4", "--rotation", "128"],
    "ct-int4-a16": ["--format", "int4", "--group-size", "32"],
    "ct-int4-a16-rotated": ["--format", "int4", "--group-size", "32", "--rotation", "16"],
    "fp-quant-nvfp4-a4": ["--layout", "fp-quant", "--format", "nvfp4", "--activations", "a4"],
    "fp-quant-mxfp4-a4": ["--layout", "fp-quant", "--format", "mxfp4", "--activations", "a4"],
    "modelopt-nvfp4-a16": ["--layout", "modelopt", "--format", "nvfp4"],
    "modelopt-nvfp4-a4": ["--layout", "modelopt", "--format", "nvfp4", "--activations", "a4"],
}


def run_json(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n"
                           f"{done.stdout}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)


class Rotor:
    """The built program, and the text that it calibrates and evaluates on."""

    def __init__(self, bin_directory, calibration, text):
        self.program = pathlib.Path(bin_directory) / "rotor"
        self.calibration = calibration
        self.text = text

    def quantize(self, model, recipe, output):
        return run_json([self.program, "quantize", model, "--output", output, "--device", "cpu",
                         "--restart", "--ranks", 1, "--calibration", self.calibration, "--sequences", 8,
                         "--seq-len", seq_len(model), *RECIPES[recipe], "-o", "json"])

    def verify(self, checkpoint):
        return run_json([self.program, "verify", checkpoint, "-o", "json"])

    def perplexity(self, checkpoint, sequences):
        report = run_json([self.program, "eval", checkpoint, "--text", self.text, "--sequences",
                           sequences, "--seq-len", seq_len(checkpoint), "-o", "json"])
        assert report["sequences"] == sequences, report
        return report["perplexity"]

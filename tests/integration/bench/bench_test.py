"""rotor-bench under mpirun: the same bytes from any number of ranks, and a model that verifies.

ROTOR_BIN names the folder of the programs, ROTOR_MPIRUN the launcher.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

BENCH = pathlib.Path(os.environ["ROTOR_BIN"]) / "rotor-bench"
LAYER = [BENCH, "layer", "--shape", "tiny", "--sequences", "12", "--seq-len", "64",
         "--device", "cpu", "--threads", "1"]


def run(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300,
                          check=False)


def layer(ranks, *options):
    launcher = []
    if ranks > 1:
        launcher = [os.environ["ROTOR_MPIRUN"], "--oversubscribe", "--bind-to", "none"]
        launcher += ["--allow-run-as-root"] if os.geteuid() == 0 else []
        launcher += ["-n", ranks]
    done = run(*launcher, *LAYER, *options)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


class Layer(unittest.TestCase):
    def test_any_number_of_ranks_gives_the_same_digest(self):
        for options in (["--rotation", "16"],
                        ["--format", "mxfp4", "--activations", "a4", "--rotation", "128"],
                        ["--format", "int4", "--method", "gptq", "--group-size", "32", "--block"]):
            with self.subTest(options=options):
                one = layer(1, *options)
                two = layer(2, *options)
                self.assertEqual(two["ranks"], 2)
                self.assertEqual(one["digest"], two["digest"])
                self.assertEqual(one["modules"], two["modules"])
                self.assertEqual(one["uploaded_bytes"], two["uploaded_bytes"])

    def test_wrong_usage_ends_with_2(self):
        self.assertEqual(run(BENCH, "layer", "--shape", "llama-9b").returncode, 2)
        self.assertEqual(run(*LAYER, "--format", "fp8").returncode, 2)
        self.assertEqual(run(*LAYER, "--rotation", "48").returncode, 2)


class MakeCheckpoint(unittest.TestCase):
    def test_writes_shards_once(self):
        with tempfile.TemporaryDirectory() as folder:
            output = pathlib.Path(folder) / "model"
            command = [BENCH, "make-checkpoint", "--shape", "tiny", "--layers", "3",
                       "--max-shard-size", "400000", "--output", output]
            self.assertEqual(run(*command).returncode, 0)
            index = json.loads((output / "model.safetensors.index.json").read_text())
            self.assertEqual(set(index["weight_map"].values()),
                             {path.name for path in output.glob("*.safetensors")})
            self.assertEqual(json.loads((output / "config.json").read_text())["num_hidden_layers"], 3)
            again = run(*command)
            self.assertEqual(again.returncode, 2)
            self.assertIn(str(output), again.stderr)


class Kernels(unittest.TestCase):
    """With a GPU they time; without one they say so. Figures are for docs/kernels.md, not for a test."""

    def time(self, *command):
        done = run(BENCH, *command)
        if done.returncode == 0:
            return json.loads(done.stdout)
        self.assertRegex(done.stderr, "this build has no CUDA|install NVIDIA's driver|CUDA_NO_DEVICE|no CUDA-capable")
        return None

    def test_products_are_timed_beside_bf16(self):
        result = self.time("gemm", "--format", "nvfp4,int4", "--m", "1,40", "--shape", "256,512")
        if result is not None:
            self.assertEqual([(time["format"], time["m"]) for time in result["times"]],
                             [("nvfp4", 1), ("nvfp4", 40), ("int4", 1), ("int4", 40)])
            for time in result["times"]:
                self.assertGreater(time["seconds"], 0)
                self.assertGreater(time["bf16_seconds"], 0)

    def test_quantization_is_timed_beside_the_pair_and_a_copy(self):
        result = self.time("quantize-activations", "--format", "mxfp4", "--m", "3", "--k", "512")
        if result is not None:
            self.assertGreater(result["copy_gb_per_second"], 0)
            time, = result["times"]
            self.assertAlmostEqual(time["speedup"], time["unfused_seconds"] / time["seconds"], delta=0.01 * time["speedup"])

if __name__ == "__main__":
    unittest.main()

"""What comes out is what was computed: the written checkpoint evaluates to the perplexity that the job
measured in memory, verifies, and an independent reader decodes it to the same digests."""

import json
import pathlib
import subprocess
import sys
import unittest

import harness
import jsonschema

sys.path.insert(0, str(harness.SOURCE / "tests" / "python"))
import loader_tables  # noqa: E402

READER = harness.SOURCE / "tests" / "python" / "independent_reader.py"
SCHEMAS = sorted((harness.SOURCE / "tests" / "data" / "compressed_tensors").glob("schema-*.json"))
assert len(SCHEMAS) == 3, SCHEMAS
RECIPES = {
    "nvfp4-a16": ["--format", "nvfp4"],
    "nvfp4-a4-online": ["--format", "nvfp4", "--activations", "a4", "--rotation", "16"],
    "modelopt-rtn": ["--layout", "modelopt", "--format", "nvfp4", "--method", "rtn",
                     "--scale-search", "absmax"],
    "modelopt-a4": ["--layout", "modelopt", "--format", "nvfp4", "--activations", "a4"],
    "fp-quant-nvfp4": ["--layout", "fp-quant", "--format", "nvfp4", "--activations", "a4"],
    "fp-quant-mxfp4": ["--layout", "fp-quant", "--format", "mxfp4", "--activations", "a4"],
    "mxfp4-a16": ["--format", "mxfp4"],
    "mxfp4-a16-online": ["--format", "mxfp4", "--rotation", "128"],
    "mxfp4-a4-unrotated": ["--format", "mxfp4", "--activations", "a4", "--rotation", "none"],
    "nvfp4-a4-merged": ["--format", "nvfp4", "--activations", "a4", "--rotation", "merged:16"],
    "int4": ["--format", "int4", "--group-size", "32", "--ignore", "*.layers.0.mlp.down_proj"],
}


def loader_problems(output, verified, options):
    """What the loader of the checkpoint's layout would miss, or find in another shape."""
    group = int(options[options.index("--group-size") + 1]) if "--group-size" in options else 0
    modules = {name: {"group_size": group, "rotation": module["rotation"]}
               for name, module in verified["modules"].items()}
    return loader_tables.problems(verified["layout"], verified["format"], verified["activations"], "BF16",
                                  harness.tensors_of(harness.MODEL), harness.tensors_of(output), modules)


def check_schemas(config):
    """Every version of the library that engines pin takes the config."""
    for path in SCHEMAS:
        schema = json.loads(path.read_text())
        jsonschema.validate(config, schema["quantization_config"])
        if config["transform_config"]:
            jsonschema.validate(config["transform_config"], schema["transform_config"])


class Checkpoint(unittest.TestCase):
    def check(self, recipe):
        with harness.temporary_directory() as directory:
            output = pathlib.Path(directory) / "out"
            evaluation = ["--eval-text", str(harness.TEXT), "--eval-sequences", "16",
                          "--eval-seq-len", "128"]
            report = harness.run(harness.quantize_command(output, "--ranks", 2, "--threads", 1,
                                                          *RECIPES[recipe], *evaluation))
            self.assertEqual(report["state"], "SUCCEEDED")
            rotor = str(harness.BIN / "rotor")
            measured = harness.run([rotor, "eval", str(output), "--text", str(harness.TEXT),
                                    "--sequences", "16", "--seq-len", "128", "-o", "json"])
            self.assertEqual(measured["sequences"], 16)
            self.assertEqual(measured["tokens"], 16 * 127)
            self.assertLess(abs(measured["perplexity"] / report["perplexity"] - 1), 1e-4)

            verified = harness.run([rotor, "verify", str(output), "-o", "json"])
            self.assertTrue(verified["ok"], verified["problems"])
            self.assertEqual(len(verified["modules"]), len(report["modules"]))
            self.assertEqual(verified["serving_modes"], report["serving_modes"])
            verify_json = pathlib.Path(directory) / "verify.json"
            verify_json.write_text(json.dumps(verified))
            read = subprocess.run([sys.executable, str(READER), str(output), str(verify_json)],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(read.returncode, 0, read.stdout + read.stderr)

            self.assertEqual(loader_problems(output, verified, RECIPES[recipe]), [])
            if verified["layout"] == "compressed-tensors":
                check_schemas(json.loads((output / "config.json").read_text())["quantization_config"])
            inspected = harness.run([rotor, "inspect", str(output), "-o", "json"])
            self.assertEqual(len(inspected["modules"]), len(report["modules"]))
            self.assertEqual(inspected["layout"], verified["layout"])


for name in RECIPES:
    setattr(Checkpoint, "test_" + name.replace("-", "_"),
            lambda self, recipe=name: self.check(recipe))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])

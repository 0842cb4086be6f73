"""`rotor analyze` of the demo model: its object, its page, what it refuses, and that the line which it
recommends is one that `rotor quantize` takes.
"""

import html.parser
import json
import pathlib
import shlex
import subprocess

import harness

SIZES = ["--sequences", "8", "--seq-len", "64"]


def command(*options, model=harness.MODEL, text=harness.TEXT, sizes=SIZES):
    return [str(harness.BIN / "rotor"), "analyze", str(model), "--calibration", str(text), *sizes,
            "--device", harness.DEVICE, *map(str, options)]


KINDS = ["qkv", "o", "gate_up", "down"]


class Page(html.parser.HTMLParser):
    """Tags, attributes and headings of a page; whatever would be fetched from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text = set(), [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "data", "srcset", "action")]

    def handle_data(self, data):
        self.text += data


def check_figures(figures, weights):
    assert [one["rotation"] for one in figures] == [0, 16, 32, 64, 128], figures
    for one in figures:
        for name, group in (("nvfp4", 16), ("mxfp4", 32), ("int4", 128)):
            errors = one["formats"][name]
            assert errors["group_size"] == group, errors
            for key in ("relative_mse", "top_mse", "total_mse"):
                assert 0 < errors[key] < 0.2, (name, key, errors)
            assert 0 < errors["scale_octaves"] < 40, errors
            assert ("searched_total_mse" in errors) == weights, errors
            if weights:
                assert errors["searched_total_mse"] < errors["total_mse"], errors


def main():
    with harness.temporary_directory() as name:
        folder = pathlib.Path(name)
        found = harness.run(command("--windows", 4, "--layers", "3,0", "--output", folder / "out", "-o", "json"))
        assert found["layers"] == [0, 3] and found["model_layers"] == 4, found["layers"]
        assert found["tokens"] == 4 * 64 and found["sequences"] == 4 and found["seq_len"] == 64
        assert len(found["modules"]) == 14 and len(found["stages"]) == 8
        assert list(found["kinds"]) == KINDS and found["kinds"]["qkv"]["modules"] == 6
        check_figures(found["overall"]["weights"], True)
        check_figures(found["overall"]["inputs"], False)
        for module in found["modules"]:
            assert module["kind"] in KINDS and module["rows"] > 0 and module["cols"] > 0
            check_figures(module["weights"], True)
            for one in module["weights"]:
                for fit in ("normal", "laplace"):
                    assert set(one[fit]) == {"location", "scale", "log_likelihood", "distance"}, one
                    assert 0 < one[fit]["distance"] < 1 and one[fit]["scale"] > 0, one
                assert one["block"] == one["rotation"] and one["values"] == module["rows"] * module["cols"]
        for stage in found["stages"]:
            check_figures(stage["inputs"], False)

        # The job that is recommended: its line, and its estimate, which is validate-only's own.
        assert [one["activations"] for one in found["recommendations"]] == ["a16", "a4"]
        for one in found["recommendations"]:
            best = one["candidates"][0]
            assert best["error"] == min(other["error"] for other in one["candidates"]), one
            assert len(one["stages"]) == 8 and one["reason"], one
            words = shlex.split(one["command"])
            assert words[:2] == ["rotor", "quantize"], words
            plan = harness.run([str(harness.BIN / "rotor"), *words[1:], "--validate-only", "-o", "json"])
            assert plan["spec"]["format"] == best["format"] and plan["spec"]["rotation"] == best["rotation"]
            assert plan["spec"]["activations"] == one["activations"], plan["spec"]
            for key in ("output_bytes", "staging_bytes", "worker_bytes_per_group", "calibration_tokens", "flops"):
                assert one["estimate"][key] == plan["estimate"][key], (key, one["estimate"])
            assert one["estimate"]["calibration_tokens"] == 8 * 64
            assert 0 < one["estimate"]["seconds"] < 600, one["estimate"]
        assert not list(folder.iterdir()), "nothing is left behind"
        time = found["layer_time"]
        assert time["layer"] == 0 and time["tokens"] == 256 and time["fixed_seconds"] > 0

        text = subprocess.run(command("--layers", 0, "--no-timing"), capture_output=True, text=True, check=True).stdout
        for words in ("Recommended", "rotor quantize", "Weights", "Inputs", "gate_up", "The worst modules", "not measured",
                      "on 8 windows of 64 tokens"):
            assert words in text, text

        page = folder / "analysis.html"
        done = harness.run(command("--layers", 0, "--no-timing", "--html", page, "-o", "json"))
        assert done == {"html": str(page)}, done
        parsed = Page(page.read_text())
        assert parsed.links == [] and not parsed.tags & {"script", "link", "img", "iframe", "object"}, parsed.links
        assert "url(" not in page.read_text() and "rotor quantize" in parsed.text

        # A source that is stored in FP8 is read decoded, a mixture with latent attention like all others.
        ids = folder / "ids.jsonl"
        ids.write_text("".join(json.dumps({"input_ids": [(7 * i + j) % 60 for j in range(32)]}) + "\n" for i in range(4)))
        quantized = harness.run(command("-o", "json", model=harness.SOURCE / "tests/data/families/deepseek_v3_fp8", text=ids,
                                        sizes=["--sequences", "4", "--seq-len", "32"]))
        assert quantized["layers"] == [0, 1, 2] and quantized["recommendations"][0]["estimate"]["seconds"] > 0
        ids.unlink()

        none = folder / "none"
        for arguments, reason, named in (
                (command("--layers", 4), "NO_SUCH_LAYER", "layers 0 to 3"),
                (command(sizes=["--sequences", "1000000", "--seq-len", "64"]), "TOO_FEW_TOKENS", "1000000"),
                (command(text=none), "FILE_NOT_FOUND", "none"),
                (command(model=none), "FILE_NOT_FOUND", "none")):
            error = harness.run([*arguments, "-o", "json"], expect=2)["error"]
            assert error["reason"] == reason and named in json.dumps(error), error
        assert [path.name for path in folder.iterdir()] == ["analysis.html"], list(folder.iterdir())


if __name__ == "__main__":
    main()

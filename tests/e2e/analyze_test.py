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
BASE = [str(harness.BIN / "rotor"), "analyze", str(harness.MODEL), "--calibration", str(harness.TEXT), *SIZES,
        "--device", harness.DEVICE]
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


def check_figures(figures, weights, block=None):
    assert [one["rotation"] for one in figures] == [0, 16, 32, 64, 128], figures
    for one in figures:
        for name, group in (("nvfp4", 16), ("mxfp4", 32), ("int4", 128)):
            errors = one["formats"][name]
            assert errors["group_size"] == group, errors
            for key in ("relative_mse", "top_mse", "total_mse"):
                assert 0 < errors[key] < 0.2, (name, key, errors)
            assert ("searched_total_mse" in errors) == weights, errors
            if weights:
                assert errors["searched_total_mse"] < errors["total_mse"], errors


def main():
    with harness.temporary_directory() as name:
        folder = pathlib.Path(name)
        found = harness.run([*BASE, "--windows", "4", "--output", str(folder / "out"), "-o", "json"])
        assert found["layers"] == [0, 1, 2, 3] and found["model_layers"] == 4, found["layers"]
        assert found["tokens"] == 4 * 64 and found["sequences"] == 4 and found["seq_len"] == 64
        assert len(found["modules"]) == 28 and len(found["stages"]) == 16
        assert list(found["kinds"]) == KINDS and found["kinds"]["qkv"]["modules"] == 12
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
            assert len(one["stages"]) == 16 and one["reason"], one
            words = shlex.split(one["command"])
            assert words[:2] == ["rotor", "quantize"], words
            command = [str(harness.BIN / "rotor"), *words[1:], "-o", "json"]
            plan = harness.run([*command, "--validate-only"])
            assert plan["spec"]["format"] == best["format"] and plan["spec"]["rotation"] == best["rotation"]
            assert plan["spec"]["activations"] == one["activations"], plan["spec"]
            for key in ("output_bytes", "staging_bytes", "worker_bytes_per_group", "calibration_tokens", "flops"):
                assert one["estimate"][key] == plan["estimate"][key], (key, one["estimate"])
            assert one["estimate"]["calibration_tokens"] == 8 * 64
            assert 0 < one["estimate"]["seconds"] < 600, one["estimate"]
        assert not list(folder.iterdir()), "nothing is left behind"
        time = found["layer_time"]
        assert time["layer"] == 0 and time["tokens"] == 256 and time["fixed_seconds"] > 0

        # A part of it, without the time; chats and texts are one as for quantize (chats_test.py).
        part = harness.run([*BASE, "--layers", "2,1", "--no-timing", "-o", "json"])
        assert part["layers"] == [1, 2] and len(part["modules"]) == 14
        assert "layer_time" not in part and "seconds" not in part["recommendations"][0]["estimate"]
        assert part["sequences"] == 8

        text = subprocess.run([*BASE, "--layers", "1", "--no-timing"], capture_output=True, text=True, check=True).stdout
        for words in ("Recommended", "rotor quantize", "Weights", "Inputs", "gate_up", "The worst modules"):
            assert words in text, text

        page = folder / "analysis.html"
        done = harness.run([*BASE, "--layers", "0", "--no-timing", "--html", str(page), "-o", "json"])
        assert done == {"html": str(page)}, done
        parsed = Page(page.read_text())
        assert parsed.links == [] and not parsed.tags & {"script", "link", "img", "iframe", "object"}, parsed.links
        assert "url(" not in page.read_text() and "rotor quantize" in parsed.text

        for options, reason in (
                (["--layers", "4"], "NO_SUCH_LAYER"),
                (["--sequences", "1000000"], "TOO_FEW_TOKENS"),
                (["--calibration", str(folder / "none.txt")], None)):
            command = [word for word in BASE if word != str(harness.TEXT) or "--calibration" not in options]
            if "--calibration" in options:
                command.remove("--calibration")
            error = harness.run([*command, *options, "--no-timing", "-o", "json"], expect=2)["error"]
            assert reason is None or error["reason"] == reason, error
            assert error["message"], error
        missing = harness.run([*BASE[:2], str(folder / "no-model"), *BASE[3:], "-o", "json"], expect=2)["error"]
        assert "no-model" in json.dumps(missing), missing
        assert [path.name for path in folder.iterdir()] == ["analysis.html"], list(folder.iterdir())


if __name__ == "__main__":
    main()

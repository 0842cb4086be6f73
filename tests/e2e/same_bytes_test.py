"""The same job gives the same bytes for any number of ranks and any division into groups."""

import sys
import unittest

import harness


def quantize(directory, name, *options):
    output = f"{directory}/{name}"
    report = harness.run(harness.quantize_command(output, *options))
    assert report["state"] == "SUCCEEDED", report
    return harness.digests(output), report


class SameBytes(unittest.TestCase):
    def test_ranks(self):
        for recipe in ([], ["--format", "mxfp4", "--activations", "a4"],
                       ["--format", "int4", "--group-size", "32", "--sequential", "block"]):
            with self.subTest(recipe=recipe), harness.temporary_directory() as directory:
                one, report = quantize(directory, "one", "--ranks", 1, "--threads", 1, *recipe)
                self.assertIn("model.safetensors", one)
                self.assertEqual(report["computed_layers"], 4)
                for ranks, threads in ((1, 2), (2, 1), (3, 1)):
                    many, _ = quantize(directory, f"ranks-{ranks}-{threads}", "--ranks", ranks,
                                       "--threads", threads, *recipe)
                    harness.assert_same_bytes(many, one, f"{ranks} ranks, {threads} threads")

    def test_groups(self):
        with harness.temporary_directory() as directory:
            options = ["--propagate", "original"]
            one, _ = quantize(directory, "one", "--ranks", 1, "--threads", 1, *options)
            two, report = quantize(directory, "groups", "--ranks", 2, "--ranks-per-group", 1,
                                   "--threads", 1, *options)
            harness.assert_same_bytes(two, one, "two groups of one")
            self.assertEqual(report["computed_layers"], 4)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])

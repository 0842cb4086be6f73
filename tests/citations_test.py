"""Every citation of the papers in docs/ leads somewhere: a page with a section, a row of faults.md, links between
pages with their quoted headings, and the paths that pages name."""

import os
import pathlib
import re
import sys
import unittest

SOURCE = pathlib.Path(os.environ.get("ROTOR_SOURCE_DIR", pathlib.Path(__file__).parents[1]))
ROOMS = ("quant", "model", "kernels", "proto", "worker", "coordinator", "ops", "tests", "docs", "cmake")
CODE = {".h", ".cpp", ".cu", ".cuh", ".py", ".proto", ".cmake", ".txt", ".md", ""}
PAGE = re.compile(r"\b([A-Za-z_-]+\.md)\b")
# algorithm.md section 4; algorithm.md sections 3, 4, 6; [formats.md](formats.md), section 4
SECTION = re.compile(r"\b([a-z_]+\.md)\)?,? sections? (\d+(?:(?:, | and )\d+)*)")
ROWS = re.compile(r"faults\.md\)?,? row (\d+)|row (\d+) of faults\.md")
QUOTED = re.compile(r'\b([a-z_]+\.md)\)?,? (?:section \d+, )?"([^"]+)"')
LINK = re.compile(r"\[[^\]]*\]\(([^)#:]+)\)")
PATH = re.compile(r"`((?:%s)/[A-Za-z0-9_./]+)`" % "|".join(ROOMS))


def text_of(path):
    """The text with comments joined over the ends of lines, as one reads them."""
    text = path.read_text(errors="replace")
    return re.sub(r"\s*\n\s*(?://+|#)?\s*", " ", text)


def files():
    for room in ROOMS:
        for path in sorted((SOURCE / room).rglob("*")):
            hidden = {"corpus", "data", "__pycache__"} & set(path.relative_to(SOURCE).parts)
            if path.is_file() and path.suffix in CODE and not hidden:
                yield path
    yield from sorted(SOURCE.glob("*.md"))


def page(name):
    """The page of that name, or None."""
    for path in (SOURCE / "docs" / name, SOURCE / "docs/decisions" / name, SOURCE / name):
        if path.is_file():
            return path
    return None


WRITTEN = {"README-source.md"}  # by a job, beside a checkpoint


class Citations(unittest.TestCase):
    def setUp(self):
        self.texts = {path: text_of(path) for path in files()}
        self.assertGreater(len(self.texts), 300)

    def test_pages_are_there(self):
        for path, text in self.texts.items():
            for name in set(PAGE.findall(text)) - WRITTEN:
                found = page(name) or (path.parent / name).is_file() or \
                    any(SOURCE.joinpath("tests").rglob(name))
                self.assertTrue(found, f"{path} cites {name}")

    def test_sections_are_there(self):
        seen = 0
        for path, text in self.texts.items():
            for name, numbers in SECTION.findall(text):
                headings = re.findall(r"^## (\d+)\.", page(name).read_text(), re.MULTILINE)
                for number in re.findall(r"\d+", numbers):
                    seen += 1
                    self.assertIn(number, headings, f"{path}: {name} section {number}")
        self.assertGreater(seen, 40)

    def test_rows_are_there(self):
        rows = re.findall(r"^\| (\d+) \|", (SOURCE / "docs/faults.md").read_text(), re.MULTILINE)
        self.assertEqual(rows, [str(row) for row in range(1, len(rows) + 1)])
        seen = 0
        for path, text in self.texts.items():
            for match in ROWS.finditer(text):
                seen += 1
                self.assertIn(match[1] or match[2], rows, f"{path}: {match[0]}")
            for row in re.findall(r"\b[Ff]aults\.?(\d\d)[._]", text):
                self.assertIn(str(int(row)), rows, f"{path}: faults.{row}")
        self.assertGreater(seen, 8)

    def test_quoted_words_are_in_the_page(self):
        for path, text in self.texts.items():
            for name, words in QUOTED.findall(text):
                plain = text_of(page(name)).replace("*", "") if page(name) else ""
                self.assertIn(words, plain, f"{path} quotes {name}")

    def test_links_and_paths_lead_to_files(self):
        for path, text in self.texts.items():
            if path.suffix != ".md":
                continue
            for target in LINK.findall(text):
                self.assertTrue((path.parent / target).exists(), f"{path} links to {target}")
            for target in PATH.findall(text):
                there = (SOURCE / target).exists() or any(SOURCE.glob(target.rstrip("/") + ".*"))
                self.assertTrue(there, f"{path} names {target}")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])

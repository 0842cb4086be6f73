"""ops/dataset: records of data sets as documents, chats as the transformers library renders them."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(SOURCE / "ops/dataset"))

import records  # noqa: E402
from template import ChatTemplate  # noqa: E402

GOLDEN = json.loads((SOURCE / "tests/data/chat/chats.json").read_text())
CHATML = next(case["template"] for case in GOLDEN["cases"] if case["name"] == "chatml")
ASKED = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
RENDERED = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"


def put(folder, name, content):
    path = pathlib.Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else
                     (content if isinstance(content, str) else json.dumps(content)).encode())
    return str(path)


class DatasetTest(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = held.name

    def run_on(self, source):
        self.output = pathlib.Path(self.folder, "documents.jsonl")
        return subprocess.run([sys.executable, SOURCE / "ops/dataset", self.folder, source, self.output],
                              capture_output=True, text=True, check=False)

    def documents(self, source):
        done = self.run_on(source)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def refusal(self, source):
        done = self.run_on(source)
        self.assertEqual(done.returncode, 1, done.stderr)
        return json.loads(done.stderr)

    def lines(self, *records):
        return put(self.folder, "data.jsonl", "\n".join(json.dumps(record) for record in records))

    def use(self, template, **more):
        put(self.folder, "tokenizer_config.json", GOLDEN["tokens"] | {"chat_template": template} | more)

    def test_chats_are_rendered_as_transformers_renders_them(self):
        self.assertGreaterEqual(len({case["name"] for case in GOLDEN["cases"]}), 20)
        for case in GOLDEN["cases"]:
            with self.subTest(case["name"]):
                self.use(case["template"])
                document = records.document(case["record"], ChatTemplate(self.folder))
                self.assertEqual(document, {"text": case["text"], "add_special_tokens": False})

    def test_every_kind_of_chat_is_the_same(self):
        self.use(CHATML)
        shared = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
        records = [{"messages": ASKED}, {"conversations": shared}, {"conversations": ASKED},
                   {"prompt": "Q", "completion": "A"}, {"prompt": ASKED[:1], "completion": ASKED[1:]}]
        expected = {"text": RENDERED, "add_special_tokens": False}
        self.assertEqual(self.documents(self.lines(*records)), [expected] * 5)
        array = put(self.folder, "data.json", records)
        self.assertEqual(self.documents(array), [expected] * 5)
        system = {"system": "S", "conversations": shared}
        self.assertTrue(self.documents(self.lines(system))[0]["text"].startswith("<|im_start|>system\nS"))

    def test_what_is_no_chat_stays_as_it_is_and_needs_no_template(self):
        ids = {"input_ids": [1, 2], "attention_mask": [1, 0]}
        self.assertEqual(self.documents(self.lines({"text": "T", "id": 7}, ids)), [{"text": "T"}, ids])
        rendered = {"text": "T", "add_special_tokens": False}
        self.assertEqual(self.documents(self.lines(rendered)), [rendered])

    def test_the_template_is_found_where_models_have_it(self):
        record = self.lines({"messages": ASKED}, {"messages": ASKED, "tools": [{"type": "function"}]})
        texts = lambda: [document["text"] for document in self.documents(record)]
        put(self.folder, "chat_template.json", {"chat_template": "P"})
        self.assertEqual(texts(), ["P", "P"])
        self.use([{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}])
        self.assertEqual(texts(), ["D", "T"])
        put(self.folder, "chat_template.jinja", "J")
        put(self.folder, "additional_chat_templates/tool_use.jinja", "A")
        self.assertEqual(texts(), ["J", "A"])

    def test_refusals_name_the_place_and_the_remedy(self):
        self.use(CHATML)
        refused = self.refusal(self.lines({"messages": ASKED}, {"instruction": "x"}))
        self.assertEqual(refused["reason"], "BAD_CALIBRATION_DATA")
        self.assertIn('data.jsonl:2: a record needs "messages"', refused["message"])
        self.assertIn('"instruction"', refused["message"])
        self.assertEqual(refused["details"]["line"], "2")
        picture = {"messages": [{"role": "user", "content": [{"type": "image"}]}]}
        self.assertIn("text alone", self.refusal(self.lines(picture))["message"])
        self.assertIn('"from" is "alien"',
                      self.refusal(self.lines({"conversations": [{"from": "alien", "value": ""}]}))["message"])
        silent = [{"role": "user", "content": None}, ASKED[1]]
        self.assertIn('a message of "user" has no "content"', self.refusal(self.lines({"messages": silent}))["message"])
        self.use("{{ raise_exception('roles must alternate') }}")
        self.assertIn("says: roles must alternate", self.refusal(self.lines({"messages": ASKED}))["message"])

    def test_broken_files_are_told_with_their_line(self):
        good = b'{"text": "T"}\n'
        for broken, line, words in ((b"{", 1, "at column 2"), (b"\xff", 1, "can't decode byte"), (b"\n\n{]", 3, ""),
                                    (good * 3000 + b'{"text": "\xe9"}', 3001, "can't decode byte"),
                                    (good + b"[" * 100000, 2, "too deep")):
            refused = self.refusal(put(self.folder, "data.jsonl", broken))
            self.assertEqual(refused["reason"], "BAD_CALIBRATION_DATA")
            self.assertIn(f"data.jsonl:{line}: ", refused["message"])
            self.assertIn(words, refused["message"])
            self.assertEqual(refused["details"]["line"], str(line))
        self.assertIn("can't decode byte", self.refusal(put(self.folder, "data.json", b'["\xff"]'))["message"])

    def test_files_that_cannot_be_read_are_named(self):
        for name in ("none.jsonl", "none.json"):
            path = self.folder + "/" + name
            self.assertEqual(self.refusal(path)["message"], path + ": No such file or directory")
        for state in ([], {"_data_files": [7]}, {"_data_files": {"a": 1}}, {}):
            put(self.folder, "saved/state.json", state)
            self.assertIn('state.json: it must hold "_data_files"', self.refusal(self.folder + "/saved")["message"])

    def test_a_tokenizer_of_another_shape_is_named(self):
        chat = self.lines({"messages": ASKED})
        for config in ([], {"chat_template": [7]}, {"chat_template": [{"name": "default"}]},
                       {"chat_template": {"default": 7}}, {"chat_template": 7}):
            put(self.folder, "tokenizer_config.json", config)
            self.assertEqual(self.refusal(chat)["reason"], "BAD_TOKENIZER", config)
        put(self.folder, "chat_template.jinja", b"\xff")
        put(self.folder, "tokenizer_config.json", {})
        self.assertIn("chat_template.jinja: ", self.refusal(chat)["message"])
        for template in ("{{ 1 // 0 }}", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"):
            put(self.folder, "chat_template.jinja", template)
            self.assertEqual(self.refusal(chat)["reason"], "BAD_CHAT_TEMPLATE")

    def test_speakers_that_are_no_names_are_refused(self):
        self.use(CHATML)
        self.assertIn('"from" is ["gpt"]',
                      self.refusal(self.lines({"conversations": [{"from": ["gpt"], "value": ""}]}))["message"])

    def test_a_model_without_a_template_is_told_so(self):
        self.assertEqual(self.refusal(self.lines({"messages": ASKED}))["reason"], "NO_CHAT_TEMPLATE")

    def test_a_template_gets_no_further_than_the_sandbox(self):
        for escape in ("{{ messages.__class__.__mro__[1].__subclasses__() }}", "{{ cycler.__init__.__globals__ }}",
                       "{{ messages.append(1) }}"):
            self.use(escape)
            self.assertEqual(self.refusal(self.lines({"messages": ASKED}))["reason"], "BAD_CHAT_TEMPLATE")

    def test_parquet_and_arrow_are_read_as_json_lines(self):
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            path = put(self.folder, "data.parquet", "")
            self.assertEqual(self.refusal(path)["reason"], "MISSING_LIBRARY")
            self.assertIn("pip install pyarrow", self.refusal(path)["message"])
            return
        self.use("{{ messages | tojson }}")
        table = pyarrow.Table.from_pylist([{"messages": ASKED}, {"messages": [{**ASKED[0], "name": "N"}]}])
        expected = self.documents(self.lines(*[{"messages": ASKED}, {"messages": [{**ASKED[0], "name": "N"}]}]))
        parquet = self.folder + "/data.parquet"
        pyarrow.parquet.write_table(table, parquet)
        self.assertEqual(self.documents(parquet), expected)
        saved = pathlib.Path(self.folder, "saved")
        saved.mkdir()
        for name, writer in (("stream", pyarrow.ipc.new_stream), ("file", pyarrow.ipc.new_file)):
            with writer(str(saved / f"{name}.arrow"), table.schema) as out:
                out.write_table(table)
            self.assertEqual(self.documents(str(saved / f"{name}.arrow")), expected)
        put(saved, "state.json", {"_data_files": [{"filename": "stream.arrow"}]})
        self.assertEqual(self.documents(str(saved)), expected)


if __name__ == "__main__":
    unittest.main()

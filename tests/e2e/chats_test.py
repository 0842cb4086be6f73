"""Chats, rendered by the model's own template: `rotor quantize` takes them as they are, and gives what token ids of
`rotor prepare-calibration` give.
"""

import json
import pathlib
import shutil

import harness

SIZES = ["--sequences", "6", "--seq-len", "32"]
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"


def chats(count):
    text = json.loads(harness.TEXT.read_text())[0]
    for i in range(count):
        asked, answered = text[80 * i : 80 * i + 40], text[80 * i + 40 : 80 * i + 80]
        yield {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]}


def prepare(model, output, *options, expect=0):
    return harness.run([str(harness.BIN / "rotor"), "prepare-calibration", str(model), *map(str, options), "--output",
                        str(output), *SIZES, "-o", "json"], expect=expect)


def main():
    with harness.temporary_directory() as name:
        folder = pathlib.Path(name)
        model = folder / "model"
        shutil.copytree(harness.MODEL, model)
        (model / "chat_template.jinja").write_text(TEMPLATE)
        records = list(chats(12))
        (folder / "chats.jsonl").write_text("\n".join(map(json.dumps, records)))
        rendered = ["".join(f"<{m['role']}>{m['content']}\n" for m in record["messages"]) for record in records]
        (folder / "texts.jsonl").write_text(
            "\n".join(json.dumps({"text": text, "add_special_tokens": False}) for text in rendered))
        prepared = prepare(model, folder / "ids.jsonl", "--calibration", folder / "chats.jsonl")
        assert prepared["windows"] == 6 and prepared["seq_len"] == 32, prepared
        ids = [json.loads(line)["input_ids"] for line in (folder / "ids.jsonl").read_text().splitlines()]
        assert [len(window) for window in ids] == [32] * 6, ids
        again = prepare(model, folder / "same.jsonl", "--calibration", folder / "texts.jsonl")
        assert again["digest"] == prepared["digest"], (again, prepared)

        mixed = prepare(model, folder / "mixed.jsonl", "--calibration", f"{folder}/chats.jsonl:2", f"{harness.TEXT}:1")
        lines = (folder / "mixed.jsonl").read_text().splitlines()
        assert mixed["windows"] == 6 and lines[:4] == (folder / "ids.jsonl").read_text().splitlines()[:4], mixed
        assert [path.name for path in folder.glob("*.rendered*")] == []

        def quantize(calibration, out):
            done = harness.run(harness.quantize_command(folder / out, model=model,
                                                        calibration=["--calibration", str(calibration), *SIZES]))
            assert done["state"] == "SUCCEEDED", done
            return harness.digests(folder / out)

        from_chats = quantize(folder / "chats.jsonl", "from-chats")
        harness.assert_same_bytes(quantize(folder / "ids.jsonl", "from-ids"), from_chats, "chats and their ids")

        def analyzed(calibration):
            return harness.run([str(harness.BIN / "rotor"), "analyze", str(model), "--calibration", str(folder / calibration),
                                *SIZES, "--layers", "0", "--no-timing", "--device", harness.DEVICE, "-o", "json"])["stages"]

        assert analyzed("chats.jsonl") == analyzed("ids.jsonl"), "an analysis reads what a job would"

        # The job keeps what was prepared for it, and is no job of other data.
        data = (folder / "chats.jsonl").read_bytes()
        (folder / "chats.jsonl").unlink()
        harness.assert_same_bytes(quantize(folder / "chats.jsonl", "from-chats"), from_chats, "a job without its data")
        (folder / "chats.jsonl").write_bytes(data.replace(b"user", b"tool"))
        command = harness.quantize_command(folder / "from-chats", model=model,
                                           calibration=["--calibration", str(folder / "chats.jsonl"), *SIZES])
        refused = harness.run(command, expect=2)
        assert refused["error"]["reason"] == "REQUEST_ID_TAKEN", refused
        (folder / "chats.jsonl").write_bytes(data)

        (model / "chat_template.jinja").unlink()
        refused = prepare(model, folder / "none.jsonl", "--calibration", folder / "chats.jsonl", expect=2)
        assert refused["error"]["reason"] == "NO_CHAT_TEMPLATE", refused
        assert not (folder / "none.jsonl").exists()


main()

"""Turns a data set into documents that rotor reads: JSON lines with "text" or "input_ids".

    python3 dataset MODEL SOURCE OUTPUT

SOURCE is a file of JSON lines, a JSON array, a Parquet or Arrow file, or a folder that the datasets library saved.
A record is a chat ("messages", or "conversations" as ShareGPT has them), a "prompt" with its "completion", or
what rotor reads itself ("text", "input_ids"). Chats are rendered by the chat template of MODEL. What cannot be read
is told on standard error as one JSON object with "code", "reason", "message" and "details"; the exit code is 1 then.
"""

import json
import sys

from failure import Failure
from records import document
from sources import rows
from template import ChatTemplate


def written(record):
    try:
        return json.dumps(record)
    except TypeError as error:  # a column of bytes, or of dates
        raise Failure("BAD_CALIBRATION_DATA", f"{error}: give text, or ids as numbers") from error


def main():
    model, source, output = sys.argv[1:]
    template = ChatTemplate(model)
    with open(output, "w", encoding="utf-8") as out:
        for place, row in rows(source):
            try:
                print(written(document(row, template)), file=out)
            except Failure as failure:
                raise failure.at(source, place) from failure


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print(json.dumps(failure.as_json()), file=sys.stderr)
        sys.exit(1)

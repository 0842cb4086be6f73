"""Records of files, one after another, each with its place: ("line", 3) or ("record", 2)."""

import json
import pathlib

from failure import Failure

BATCH = 1000  # records in memory


def bad(path, message):
    return Failure("BAD_CALIBRATION_DATA", f"{path}: {message}", file=str(path))


def unreadable(path, error):
    """Of a file that the system does not let us read."""
    return bad(path, error.strerror or str(error))


def json_of(text):
    """Of bytes. What is wrong with them is a ValueError."""
    try:
        return json.loads(text.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("arrays and objects inside one another, too deep to be read") from error


def json_lines(path):
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    record = json_of(line)
                except ValueError as error:
                    said = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
                    raise Failure("BAD_CALIBRATION_DATA", str(said)).at(str(path), ("line", number)) from error
                yield ("line", number), record
    except OSError as error:
        raise unreadable(path, error) from error


def json_array(path):
    try:
        records = json_of(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise bad(path, str(error)) from error
    if not isinstance(records, list):
        raise bad(path, "it must hold an array of records; one record a line belongs in a .jsonl file")
    for number, record in enumerate(records):
        yield ("record", number), record


def arrow():
    """The library, where it is installed."""
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise Failure("MISSING_LIBRARY", "Parquet and Arrow files are read with pyarrow, which this Python lacks: "
                      "install it (pip install pyarrow), or write the records as JSON lines") from error
    return pyarrow


def without_null(value):
    """Arrow fills the keys that a record does not have with null."""
    if isinstance(value, dict):
        return {key: without_null(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_null(inner) for inner in value]
    return value


def tables(path, library):
    if path.suffix == ".parquet":
        yield from library.parquet.ParquetFile(path).iter_batches(BATCH)
        return
    with library.memory_map(str(path)) as file:
        try:
            reader = library.ipc.open_stream(file)  # as the datasets library writes them
        except library.ArrowInvalid:
            file.seek(0)
            reader = library.ipc.open_file(file)
            yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
            return
        yield from reader


def arrow_rows(path, first=0):
    library = arrow()
    try:
        for batch in tables(path, library):
            for record in batch.to_pylist():
                yield ("record", first), without_null(record)
                first += 1
    except (library.ArrowException, OSError) as error:
        raise bad(path, str(error)) from error


def saved_files(folder):
    """The files of a folder that the datasets library saved, in its order."""
    state = folder / "state.json"
    if not state.exists():
        raise bad(folder, "a folder of a data set has a state.json (datasets: save_to_disk); name its files one by one")
    try:
        return [folder / entry["filename"] for entry in json_of(state.read_bytes())["_data_files"]]
    except OSError as error:
        raise unreadable(state, error) from error
    except (ValueError, LookupError, TypeError) as error:
        raise bad(state, 'it must hold "_data_files", an array of objects with "filename": save the data set again with '
                  "the datasets library, or name its files one by one") from error


def rows(source):
    path = pathlib.Path(source)
    if path.is_dir():
        number = 0
        for file in saved_files(path):
            for _, record in arrow_rows(file):
                yield ("record", number), record
                number += 1
    elif path.suffix in (".parquet", ".arrow"):
        yield from arrow_rows(path)
    else:
        yield from (json_array if path.suffix == ".json" else json_lines)(path)

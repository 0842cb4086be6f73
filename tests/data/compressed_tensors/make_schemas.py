"""Writes what a version of the compressed-tensors library accepts of a `quantization_config`, as JSON Schema:
make_schemas.py, run by a Python that has that version (and torch). The text of its documentation is left out.
"""

import json
import pathlib
import warnings

import compressed_tensors
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.transform import TransformConfig


def without_texts(schema):
    if isinstance(schema, dict):
        return {key: without_texts(value) for key, value in schema.items()
                if key not in ("description", "title") or isinstance(value, dict)}
    return [without_texts(each) for each in schema] if isinstance(schema, list) else schema


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # defaults that JSON has no words for
    schemas = {name: without_texts(model.model_json_schema())
               for name, model in (("quantization_config", QuantizationConfig), ("transform_config", TransformConfig))}
path = pathlib.Path(__file__).parent / f"schema-{compressed_tensors.__version__}.json"
path.write_text(json.dumps(schemas, indent=1, sort_keys=True) + "\n")
print(path)

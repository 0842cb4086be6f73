"""Makes yarn.json: what the transformers library computes for YaRN's frequencies.

Each case holds the keys of a config.json and, from the library in float32, `frequencies` (radians a token)
and `attention_factor` (of cosines and sines). Models: gpt-oss, DeepSeek-V3's share of a head, Qwen's advice for
long texts, and edges of the formula.

    make_yarn.py        needs torch and transformers 5
"""

import copy
import json
import pathlib

import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

GPT_OSS = {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
           "original_max_position_embeddings": 4096}
DEEPSEEK = {"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0,
            "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096}
QWEN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
# name: (head_dim, rope_theta, max_position_embeddings, rope_scaling)
CASES = {
    "gpt_oss": (64, 150000.0, 131072, GPT_OSS),
    "deepseek": (64, 10000.0, 163840, DEEPSEEK),
    "qwen": (128, 1000000.0, 131072, QWEN),
    "two_weights": (64, 10000.0, 163840, DEEPSEEK | {"mscale": 0.707, "mscale_all_dim": 0.5}),
    "a_weight_of_zero": (64, 10000.0, 163840, DEEPSEEK | {"mscale_all_dim": 0}),
    "given_factor": (32, 10000.0, 4096, QWEN | {"attention_factor": 1.25}),
    "factor_of_the_lengths": (32, 10000.0, 98304, QWEN | {"factor": None}),
    "small_context": (32, 10000.0, 128, QWEN | {"original_max_position_embeddings": 8}),
    "one_place": (16, 10000.0, 128, QWEN | {"beta_fast": 4, "beta_slow": 4, "truncate": False}),
    "length_left_out": (32, 10000.0, 2048, {"rope_type": "yarn", "factor": 2.0}),
}


def case(head_dim, theta, positions, scaling):
    keys = {"head_dim": head_dim, "max_position_embeddings": positions, "rope_theta": theta,
            "rope_scaling": scaling}
    config = transformers.LlamaConfig(num_attention_heads=2, **copy.deepcopy(keys))
    frequencies, factor = ROPE_INIT_FUNCTIONS["yarn"](config, "cpu")
    return {"config": keys, "frequencies": frequencies.tolist(), "attention_factor": factor}


made = {name: case(*numbers) for name, numbers in CASES.items()}
path = pathlib.Path(__file__).with_name("yarn.json")
path.write_text("{\n" + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in made.items()) + "\n}\n")

"""What each engine's loader asks for of a quantized linear: tensor names, dtypes and shapes, as the loaders' sources
declare them (vLLM 0.25.1, `create_weights` of the classes named here; the others load the same tensors).

N outputs, K inputs, G inputs that share a scale, H the block of an online rotation; M is the model's dtype.
"""

SCALAR, ONE = [], [1]
A4 = "a4 alone"


def fp_quant(group):
    """FPQuantLinearMethod."""
    return {
        "qweight": ("U8", lambda n, k, g, h: [n, k // 2]),
        "scales": ("U8", lambda n, k, g, h: [n, k // group]),
        "weight_global_scale": ("F32", lambda n, k, g, h: ONE),
        "act_global_scale": ("F32", lambda n, k, g, h: ONE),
        "forward_hadamard_matrix": ("BF16", lambda n, k, g, h: [h, h]),
    }


TABLES = {
    # CompressedTensorsW4A4Fp4; of experts CompressedTensorsW4A4Nvfp4MoEMethod
    ("compressed-tensors", "nvfp4"): {
        "weight_packed": ("U8", lambda n, k, g, h: [n, k // 2]),
        "weight_scale": ("F8_E4M3", lambda n, k, g, h: [n, k // 16]),
        "weight_global_scale": ("F32", lambda n, k, g, h: ONE),
        "input_global_scale": ("F32", lambda n, k, g, h: ONE, A4),
    },
    # CompressedTensorsW4A4Mxfp4; of experts CompressedTensorsW4A4Mxfp4MoEMethod
    ("compressed-tensors", "mxfp4"): {
        "weight_packed": ("U8", lambda n, k, g, h: [n, k // 2]),
        "weight_scale": ("U8", lambda n, k, g, h: [n, k // 32]),
    },
    # CompressedTensorsWNA16; of experts CompressedTensorsWNA16MarlinMoEMethod
    ("compressed-tensors", "int4"): {
        "weight_packed": ("I32", lambda n, k, g, h: [n, k // 8]),
        "weight_scale": ("M", lambda n, k, g, h: [n, k // g]),
        "weight_shape": ("I64", lambda n, k, g, h: [2]),
    },
    # ModelOptNvFp4LinearMethod, ModelOptNvFp4W4A16LinearMethod
    ("modelopt", "nvfp4"): {
        "weight": ("U8", lambda n, k, g, h: [n, k // 2]),
        "weight_scale": ("F8_E4M3", lambda n, k, g, h: [n, k // 16]),
        "weight_scale_2": ("F32", lambda n, k, g, h: SCALAR),
        "input_scale": ("F32", lambda n, k, g, h: SCALAR, A4),
    },
    ("fp-quant", "nvfp4"): fp_quant(16),
    ("fp-quant", "mxfp4"): fp_quant(32),
}


def problems(layout, format_name, activations, model_dtype, source, written, modules):
    """Differences from the table, in words. `source` and `written`: name -> (dtype, shape) of all tensors; `modules`:
    name -> {"group_size", "rotation"} of the quantized linears."""
    table = TABLES[layout, format_name]
    found = []
    for module, how in modules.items():
        rows, cols = source[f"{module}.weight"][1]
        asked = {}
        for name, (dtype, shape, *when) in table.items():
            if A4 not in when or activations == "a4":
                dtype = model_dtype if dtype == "M" else dtype
                asked[name] = (dtype, shape(rows, cols, how["group_size"], how["rotation"]))
        here = {name.removeprefix(module + "."): entry for name, entry in written.items()
                if name.startswith(module + ".")}
        # One module of all carries the matrix of the online rotation.
        here = {name: entry for name, entry in here.items()
                if name != "bias" and not name.endswith("_input.weight")}
        if here != asked:
            found.append(f"{module}: {here}, where the loader asks for {asked}")
    return found

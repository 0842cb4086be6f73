"""What is tried: checkpoints by recipe, and how an engine runs each of them."""

import dataclasses

SETTINGS = {
    "nvfp4": ["--format", "nvfp4"],
    "nvfp4-a4": ["--format", "nvfp4", "--activations", "a4"],
    "mxfp4": ["--format", "mxfp4"],
    "int4": ["--format", "int4"],
    "int4-g32": ["--format", "int4", "--group-size", "32"],
    "modelopt": ["--format", "nvfp4", "--layout", "modelopt"],
    "gpt-oss": ["--format", "mxfp4", "--layout", "gpt-oss"],
    "modelopt-a4": ["--format", "nvfp4", "--layout", "modelopt", "--activations", "a4"],
}
ROTATIONS = ("none", "16", "32", "64", "128", "merged:16", "merged:128")
EMULATED = ("linear=emulation",)


@dataclasses.dataclass(frozen=True)
class Row:
    model: str
    setting: str  # of SETTINGS; "source": the model as it is, the yardstick
    rotation: str = ""  # of ROTATIONS; empty: the default
    run: tuple = ()  # of vllm_losses.py
    fails: str = ""  # what its message says; empty: it runs

    @property
    def checkpoint(self):
        return "-".join(part.replace(":", "") for part in (self.model, self.setting, self.rotation) if part)

    @property
    def tensor_parallel(self):
        return int(dict(word.split("=") for word in self.run).get("tp", 1))

    def options(self):
        return [*SETTINGS[self.setting], *(["--rotation", self.rotation] if self.rotation else [])]


def trained(model):
    """Every layout, format, activations and rotation, on a model with weights worth comparing."""
    rows = [Row(model, "source")]
    rows += [Row(model, setting) for setting in ("nvfp4", "mxfp4", "int4", "int4-g32", "modelopt")]
    rows += [Row(model, setting, run=EMULATED) for setting in ("nvfp4-a4", "modelopt-a4")]
    rows += [Row(model, "nvfp4", rotation) for rotation in ("128", "merged:16", "merged:128")]
    rows += [Row(model, "mxfp4", rotation) for rotation in ("none", "128", "merged:128")]
    rows += [Row(model, "nvfp4-a4", "merged:128", EMULATED), Row(model, "int4", "128")]
    rows += [Row(model, "nvfp4", "16", fails="AssertionError"),
             Row(model, "nvfp4", "128", ("tp=2",), "online transforms with tensor parallelism"),
             # Half of its 1408 columns are no whole groups of 128.
             Row(model, "int4", run=("tp=2",), fails="not divisible by group_size")]
    return rows + [Row(model, setting, run=("tp=2",)) for setting in ("source", "nvfp4", "mxfp4", "int4-g32")]


def mixture(model):
    return ([Row(model, setting) for setting in ("source", "nvfp4", "mxfp4", "int4-g32", "modelopt")] +
            [Row(model, "nvfp4-a4", run=("linear=emulation", "moe=emulation"))] +
            [Row(model, setting, run=("tp=2",)) for setting in ("source", "nvfp4", "mxfp4", "int4-g32")])


def family(model):
    """The defaults of every format."""
    if model == "gpt_oss":
        return [Row(model, "source"), Row(model, "gpt-oss"), Row(model, "nvfp4", fails="KeyError"),
                Row(model, "int4-g32", fails="KeyError"), Row(model, "gpt-oss", run=("tp=2",)),
                Row(model, "source", run=("tp=2",))]
    rows = [Row(model, setting) for setting in ("source", "nvfp4", "mxfp4", "int4-g32", "modelopt")]
    if model == "phi3":
        rows.append(Row(model, "nvfp4", "128", fails="KeyError"))
    return rows

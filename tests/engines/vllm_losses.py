"""The loss of every token as vLLM computes it: vllm_losses.py CHECKPOINT IDS.npy OUT.npy [key=value...]

IDS.npy holds token ids [windows, seq_len]; OUT.npy gets F32 [windows, seq_len - 1], nats. Keys: tp=N, linear=BACKEND,
moe=BACKEND (vLLM's own names; `emulation` computes NVFP4 activations in 4 bits on any GPU).
"""

import os
import sys

os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
# Attention over latents needs FlashAttention, which a build may lack; without it vLLM runs the same attention undone.
os.environ.setdefault("VLLM_MLA_DISABLE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def losses(checkpoint, ids, options):
    import numpy
    from vllm import LLM, SamplingParams

    tensor_parallel = int(options.get("tp", 1))
    settings = {}
    if "linear" in options:
        settings["linear_backend"] = options["linear"]
    if "moe" in options:
        settings["moe_backend"] = options["moe"]
    engine = LLM(model=checkpoint, dtype="bfloat16", enforce_eager=True, skip_tokenizer_init=True,
                 max_model_len=ids.shape[1] + 8, max_num_batched_tokens=2048, max_num_seqs=8,
                 kv_cache_memory_bytes=1 << 28, attention_backend="TRITON_ATTN", enable_prefix_caching=False,
                 disable_log_stats=True, tensor_parallel_size=tensor_parallel, **settings)
    outputs = engine.generate([{"prompt_token_ids": row.tolist()} for row in ids],
                              SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0, detokenize=False),
                              use_tqdm=False)
    return numpy.array([[-place[token].logprob for token, place in zip(row[1:].tolist(), out.prompt_logprobs[1:])]
                        for row, out in zip(ids, outputs)], dtype=numpy.float32)


def main():
    options = dict(argument.split("=", 1) for argument in sys.argv[4:])
    # One process is quicker to start; several GPUs need theirs.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0" if options.get("tp", "1") == "1" else "1")
    import numpy

    numpy.save(sys.argv[3], losses(sys.argv[1], numpy.load(sys.argv[2]), options))


if __name__ == "__main__":
    main()

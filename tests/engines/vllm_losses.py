"""The loss of every token as vLLM computes it: vllm_losses.py JOBS.json

JOBS.json lists jobs {"checkpoint", "ids", "out", "options"} that one process runs in turn, since to start vLLM takes longer
than to run a small model. `ids` names token ids [windows, seq_len] (.npy); `out`.npy gets F32 [windows, seq_len - 1], nats,
or `out`.error what went wrong. Options: tp, linear, moe; the latter two are vLLM's names of backends (`emulation`
computes NVFP4 activations in 4 bits on any GPU). All jobs of a process have the same tp. vLLM is told to refuse a
checkpoint that leaves a parameter unset.
"""

import gc
import json
import os
import sys
import time
import traceback

os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
# Attention over latents needs FlashAttention, which a build may lack; without it vLLM runs the same attention undone.
os.environ.setdefault("VLLM_MLA_DISABLE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def losses(checkpoint, ids, options):
    import numpy
    from vllm import LLM, SamplingParams

    settings = {f"{name}_backend": options[name] for name in ("linear", "moe") if name in options}
    engine = LLM(model=checkpoint, dtype="bfloat16", enforce_eager=True, skip_tokenizer_init=True,
                 max_model_len=ids.shape[1] + 8, max_num_batched_tokens=2048, max_num_seqs=8,
                 kv_cache_memory_bytes=1 << 28, attention_backend="TRITON_ATTN", enable_prefix_caching=False,
                 disable_log_stats=True, language_model_only=True, gdn_prefill_backend="triton",
                 tensor_parallel_size=int(options.get("tp", 1)),
                 model_loader_extra_config={"enable_weights_track": True}, **settings)
    outputs = engine.generate([{"prompt_token_ids": row.tolist()} for row in ids],
                              SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0, detokenize=False),
                              use_tqdm=False)
    return numpy.array([[-place[token].logprob for token, place in zip(row[1:].tolist(), out.prompt_logprobs[1:])]
                        for row, out in zip(ids, outputs)], dtype=numpy.float32)


def forget():
    """Leaves nothing of one engine to the next."""
    from vllm.distributed import cleanup_dist_env_and_memory

    gc.collect()
    cleanup_dist_env_and_memory()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        jobs = json.load(file)
    # In one process vLLM is quicker to start; several GPUs need one each.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0" if int(jobs[0]["options"].get("tp", 1)) == 1 else "1")
    import numpy

    for job in jobs:
        start = time.monotonic()
        print(f"{job['out']}:", flush=True)
        try:
            numpy.save(job["out"] + ".npy", losses(job["checkpoint"], numpy.load(job["ids"]), job["options"]))
        except Exception:  # whatever it is, it is this checkpoint's result
            with open(job["out"] + ".error", "w", encoding="utf-8") as file:
                file.write(traceback.format_exc())
        print(f"{job['out']}: {time.monotonic() - start:.1f} s", flush=True)
        forget()


if __name__ == "__main__":
    main()

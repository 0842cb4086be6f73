"""Perplexity and divergence of a model in memory, as `rotor eval --against` defines them.

For what `rotor eval` cannot run: models whose inputs a peer quantizes with code of its own. Both models
are transformers', in float32; tests/interop shows that it and `rotor eval` then agree to 1e-4.
"""

import math

import torch


@torch.no_grad()
def against(model, source, windows):
    """The keys that `rotor eval -o json` has: perplexities, mean KL(source || model) in nats, same top token."""
    sums = {"loss": 0.0, "source_loss": 0.0, "kl": 0.0, "same_top": 0.0}
    tokens = 0
    for ids in windows:
        ids = torch.tensor([ids], device=source.device)
        targets = ids[0, 1:, None]
        found = model(ids).logits[0, :-1].float().log_softmax(-1)
        expected = source(ids).logits[0, :-1].float().log_softmax(-1)
        sums["loss"] -= found.gather(1, targets).double().sum().item()
        sums["source_loss"] -= expected.gather(1, targets).double().sum().item()
        sums["kl"] += (expected.exp() * (expected - found)).sum(-1).double().sum().item()
        sums["same_top"] += (found.argmax(-1) == expected.argmax(-1)).sum().item()
        tokens += targets.numel()
    means = {key: value / tokens for key, value in sums.items()}
    return {"perplexity": math.exp(means["loss"]), "kl": means["kl"],
            "source_perplexity": math.exp(means["source_loss"]), "same_top": means["same_top"]}

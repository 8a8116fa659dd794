"""The GPT-2 of Hugging Face's transformers, of the same shape as a GPT of ours, or the same one."""

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from bigmodel_lib.models.transformer import GPT, GPTConfig

# Where each of our layers is called otherwise there.
NAMES = {
    "tokens.": "transformer.wte.",
    "positions.": "transformer.wpe.",
    "blocks.": "transformer.h.",
    ".norm_attention.": ".ln_1.",
    ".attention.qkv.": ".attn.c_attn.",
    ".attention.out.": ".attn.c_proj.",
    ".norm_mlp.": ".ln_2.",
    ".mlp.wide.": ".mlp.c_fc.",
    ".mlp.out.": ".mlp.c_proj.",
}


def make_gpt2(config: GPTConfig, activation: str = "gelu", dropout: float = 0.0) -> GPT2LMHeadModel:
    """Theirs, with PyTorch's fused attention.

    Args:
        config: our sizes.
        activation: "gelu" is ours, exact and one kernel; "gelu_new" is what the class has where
            nothing is said: the formula with a tanh, an operator at a time.
        dropout: in all places where it is.
    """
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.V,
            n_positions=config.T,
            n_layer=config.L,
            n_embd=config.D,
            n_head=config.H,
            activation_function=activation,
            **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout),
            bos_token_id=None,
            eos_token_id=None,  # nothing ends a text early
            attn_implementation="sdpa",
        )
    )


def as_gpt2(model: GPT, activation: str = "gelu") -> GPT2LMHeadModel:
    """Theirs with the weights of ours: the same scores."""
    theirs = make_gpt2(model.config, activation)
    theirs.load_state_dict(_translated(model.state_dict()))
    return theirs.to(model.tokens.weight.device)


def _translated(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {"lm_head.weight": weights["tokens.weight"]}
    for name, value in weights.items():
        name = "transformer.ln_f." + name[5:] if name.startswith("norm.") else name
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        is_turned = ".c_" in name and value.ndim == 2  # their matrices are (inputs, outputs)
        found[name] = value.t().contiguous() if is_turned else value
    return {name: torch.clone(value) for name, value in found.items()}

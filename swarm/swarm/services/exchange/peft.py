"""An adapter as a LoRA folder of Hugging Face's PEFT: adapter_model.safetensors and adapter_config.json.

What is adapted is the embedding itself, so W0 of LoRA's equation 3 is the identity: the base model is whatever has a
linear layer of shape (d, d) named `MODULE`, which holds the identity. Both tiers and all layers are one pair of a
higher rank, which does exactly what they do together; alpha equals the rank, so that PEFT scales by 1. PEFT gives
z = x + Delta W x; the adapter's answer is z with the length of x.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from safetensors.numpy import save

from swarm.services.exchange.json_file import json_bytes
from swarm.sona.lora import LoraPair
from swarm.sona.merged import joined_pair

MODULE = "projection"
"""The linear layer of the base model that is adapted."""
CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"


def peft_weights(pairs: Sequence[LoraPair], dim: int) -> bytes:
    """The file `WEIGHTS_FILE`: lora_A of shape (R, d) and lora_B of shape (d, R)."""
    pair = joined_pair(pairs, dim)
    prefix = f"base_model.model.{MODULE}"
    return bytes(
        save(
            {f"{prefix}.lora_A.weight": pair.down, f"{prefix}.lora_B.weight": np.ascontiguousarray(pair.up.T)},
            {"format": "pt"},
        )
    )


def peft_config(pairs: Sequence[LoraPair], dim: int) -> bytes:
    """The file `CONFIG_FILE`."""
    rank = len(joined_pair(pairs, dim).down)
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "use_rslora": False,
        "use_dora": False,
        "target_modules": [MODULE],
        "modules_to_save": None,
    }
    return json_bytes(config)

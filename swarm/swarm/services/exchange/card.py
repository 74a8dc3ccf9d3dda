"""A model card: README.md with the front matter that the Hugging Face hub reads, and figures from what is stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from swarm.services.exchange.peft import MODULE
from swarm.wire.agent_file import PortableAgent

TAGS = ("sona", "lora", "embedding-adapter", "continual-learning")
_FILES = {
    "agent.swarm": "the whole agent: `swarm import` reads it",
    "adapter.safetensors": "the adapter as float32: A and B transposed of every pair",
    "adapter-8bit.safetensors": "the same in 8 bits",
    "adapter-4bit.safetensors": "the same in 4 bits",
    "peft": f"the adapter as a PEFT LoRA on a linear layer `{MODULE}` that holds the identity",
    "adapter.onnx": "the adapter as a graph: `x` (n, d) to `adapted` (n, d)",
    "config.json": "role, embedder and configuration",
    "stats.json": "the figures above, and more",
    "patterns.jsonl": "what it knows, with evidence",
    "preferences.jsonl": "prompt, chosen, rejected",
    "distillation.jsonl": "chats that went well",
    "routing.jsonl": "task, route, quality, cost, latency",
}


def model_card(portable: PortableAgent, stats: Mapping[str, Any], files: Collection[str], *, has_texts: bool) -> str:
    """The text of README.md. The licence is left to whoever publishes it."""
    dim, embedder = portable.embedder.dim, portable.embedder
    lines = [
        "---",
        "# license: yours to choose; the texts of the tasks may be others'",
        f"library_name: {'peft' if any(name.startswith('peft/') for name in files) else 'safetensors'}",
        "tags:",
        *(f"- {tag}" for tag in TAGS),
        "---",
        "",
        f"# {portable.agent}",
        "",
        f"What agent `{portable.agent}` (role `{portable.registration.role}`) of swarm `{portable.swarm}` has learned "
        f"by version {portable.generation}: a low-rank adapter of query embeddings, and the patterns that it searches.",
        "",
        f"The adapter bends vectors of **{embedder.id}**, version {embedder.version}, {dim} numbers, and of no other "
        "embedder. Only the query is bent, never what it is compared with; lengths stay.",
        "",
        "| figure | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in _figures(stats)),
        "",
        *_held_out(stats["held_out"]),
        "## Files",
        "",
        *(f"* `{name}`: {_FILES[name]}" for name in _FILES if _is_there(name, files)),
        "",
        "## Provenance",
        "",
        "The patterns come from reported outcomes of this agent alone. "
        + (
            "Texts of tasks and responses are in `agent.swarm` and the JSONL files as they were reported: read them "
            "before you publish them."
            if has_texts
            else "Texts of tasks and responses were left out; names of actions, routes and trajectories were not."
        ),
        "",
    ]
    return "\n".join(lines)


def _figures(stats: Mapping[str, Any]) -> list[tuple[str, str]]:
    quality = stats["mean_quality"]
    return [
        ("outcomes learned from", f"{stats['outcomes']:,}"),
        ("patterns (of successes)", f"{stats['patterns']:,} ({stats['patterns_of_successes']:,})"),
        ("mean reported quality", "none yet" if quality is None else f"{quality:.3f}"),
        ("new weights promoted / refused", f"{stats['promotions']} / {stats['refusals']}"),
        ("how far its reports are believed", str(stats["verdict"])),
    ]


def _held_out(losses: list[Mapping[str, Any]]) -> list[str]:
    if not losses:
        return ["No weights were trained yet, or the log does not reach back so far: there is no held-out loss.", ""]
    rows = [
        f"| {one['version']} | {one['held_out']} | {_loss(one['loss_frozen'])} | {_loss(one['loss_before'])} | "
        f"{_loss(one['loss_after'])} | {one['update']} |"
        for one in losses[-5:]
    ]
    return [
        "Loss on held-out outcomes of its own (negative log-likelihood in nats, less is better), latest trainings:",
        "",
        "| version | held out | without adapter | before | after | update |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _is_there(name: str, files: Collection[str]) -> bool:
    return name in files or any(found.startswith(f"{name}/") for found in files)

"""Training from files: examples by the line, learned once, round by round, and judged on lines that were held out."""

from swarm_agents.training.profiles import PROFILES, Profile, profile_for
from swarm_agents.training.report import BatchReport, TrainReport
from swarm_agents.training.scoring import score_quality
from swarm_agents.training.trainer import Trainer, TrainOptions, train, train_examples

__all__ = [
    "PROFILES",
    "BatchReport",
    "Profile",
    "TrainOptions",
    "TrainReport",
    "Trainer",
    "profile_for",
    "score_quality",
    "train",
    "train_examples",
]

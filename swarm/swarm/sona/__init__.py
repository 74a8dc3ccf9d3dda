"""The numeric core: SONA engines for agents, with NumPy alone and without I/O.

trajectory  what happened            config     what can be set, presets
signals     what it teaches          clusters   patterns with additive statistics
lora        how a query is bent      ranking    how patterns vote, and the loss
adapter     micro and base tier      index      search over patterns
instant     loop A                   grouping   outcomes into patterns
background  loop B                   bank       the ReasoningBank of one engine
training    of the base tier         engine     all of it together
ewc         against forgetting       snapshot   engine to bytes and back
"""

from swarm.sona.background import CycleReport, Learned, run_cycle
from swarm.sona.bank import ReasoningBank
from swarm.sona.clusters import Cluster, Exemplar, RouteTally, Tally, action_of, merge_clusters
from swarm.sona.config import PRESETS, SonaConfig
from swarm.sona.engine import EngineStats, SonaEngine
from swarm.sona.ewc import EwcMemory
from swarm.sona.index import ActionHit, Hit, PatternIndex
from swarm.sona.signals import Baseline, LearningSignal
from swarm.sona.snapshot import load, save
from swarm.sona.trajectory import Step, Trajectory
from swarm.sona.variants import VariantScore, select_by_ucb

__all__ = [
    "PRESETS",
    "ActionHit",
    "Baseline",
    "Cluster",
    "CycleReport",
    "EngineStats",
    "EwcMemory",
    "Exemplar",
    "Hit",
    "Learned",
    "LearningSignal",
    "PatternIndex",
    "ReasoningBank",
    "RouteTally",
    "SonaConfig",
    "SonaEngine",
    "Step",
    "Tally",
    "Trajectory",
    "VariantScore",
    "action_of",
    "load",
    "merge_clusters",
    "run_cycle",
    "save",
    "select_by_ucb",
]

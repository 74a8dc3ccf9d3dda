"""Which configuration to try next: Optuna's tree-structured Parzen estimator, in memory and seeded.

Bergstra et al. 2011, "Algorithms for hyper-parameter optimization", section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from swarm.errors import RuntimeSetupError
from swarm.sona.config import SonaConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial as Asked


class Search:
    """Proposes configurations near `present`, and is told what each came to; larger is better.

    Raises
    ------
    RuntimeSetupError
        If Optuna is not installed.
    """

    def __init__(self, present: SonaConfig, seed: int) -> None:
        self._optuna = _optuna()
        # It reports every trial otherwise: what a search prints is the caller's.
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        self._present = present
        self._space = _space(self._optuna)
        self._study = self._optuna.create_study(
            direction="maximize", sampler=self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
        )
        self._asked: Asked | None = None

    def tell_given(self, config: SonaConfig, value: float) -> None:
        """Let it know of a configuration that it did not propose; one outside the space teaches it nothing."""
        values = {name: getattr(config, name) for name in self._space}
        try:
            trial = self._optuna.trial.create_trial(params=values, distributions=dict(self._space), value=value)
        except ValueError:
            return
        self._study.add_trial(trial)

    def ask(self) -> SonaConfig:
        """The next one to try."""
        self._asked = self._study.ask(dict(self._space))
        return self._present.updated(**self._asked.params)

    def tell(self, value: float) -> None:
        """What the one that was asked for last came to."""
        assert self._asked is not None
        self._study.tell(self._asked, value)


def _optuna() -> ModuleType:
    try:
        # It takes a second to load, and is an extra.
        import optuna
    except ImportError as error:
        raise RuntimeSetupError("tuning needs Optuna: pip install 'sona-swarm[tune]'") from error
    return optuna


def _space(optuna: Any) -> Mapping[str, BaseDistribution]:
    """What is searched: a decade or more around the defaults, on a logarithmic scale where factors matter."""
    distributions = optuna.distributions
    real, whole = distributions.FloatDistribution, distributions.IntDistribution
    return {
        "micro_lora_lr": real(0.001, 0.3, log=True),
        "micro_lora_rank": whole(1, 2),
        "base_lora_lr": real(0.0001, 0.03, log=True),
        "base_lora_rank": distributions.CategoricalDistribution((4, 8, 16, 32)),
        "base_epochs": whole(1, 10),
        "ewc_lambda": real(1.0, 15_000.0, log=True),
        "temperature": real(0.02, 0.2, log=True),
        "failure_weight": real(0.0, 4.0),
        "join_similarity": real(0.7, 0.99),
    }

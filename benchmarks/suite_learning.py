"""The benchmarks of what is learned: on real data where it is given, else on a small set."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.suite_entry import LESS, NO_LOSS, Entry, of_report
from benchmarks.suite_figures import Bound, Figure

TEXTS, TOOLS, ROUTES, RUNS = "texts", "tools", "routes", "runs"
"""Folders that `benchmarks.small_data` writes."""


LEARNING: Sequence[Entry] = (
    Entry(
        name="learning",
        module="bench_learning",
        shows="right at first try after right/wrong feedback",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("all", "all tiers", "share", "frozen", "frozen", bound=NO_LOSS),
            Figure("bank", "the bank alone", "share", "frozen", "frozen"),
            Figure("base", "the base tier alone", "share", "frozen", "frozen"),
            Figure("micro", "the micro tier alone", "share", "frozen", "frozen"),
            Figure("all", "all tiers", "share", "published_rule", "published rule"),
            Figure("all", "all tiers", "share", "logistic_bound", "logistic, told every label"),
            Figure("worst_dip", "the most it ever fell below frozen", "share", better=LESS),
        ),
        read=of_report,
        small_data=TEXTS,
        full_data=("banking77", "clinc150"),
        has_own_text=True,
    ),
    Entry(
        name="forgetting",
        module="bench_forgetting",
        shows="tasks in sequence",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("whole_final", "engine, right at the end", "share", "best_l2_final", "best L2"),
            Figure("ours_1000_final", "adapter with 1,000 kept, at the end", "share", "naive_final", "naive"),
            Figure("ours_1000_bwt", "adapter with 1,000 kept, transfer back", "share", "naive_bwt", "naive"),
            Figure("ours_1000_learned", "adapter with 1,000 kept, right after", "share", "naive_learned", "naive"),
            Figure(
                "ours_1000_final",
                "adapter with 1,000 kept, at the end",
                "share",
                "ours_1000_without_ewc_final",
                "without EWC",
            ),
            Figure("ours_final", "adapter with 10,000 kept, at the end", "share", "replay_final", "replay"),
        ),
        read=of_report,
        small_data=TEXTS,
        full_data=("banking77", "clinc150"),
        has_own_text=True,
    ),
    Entry(
        name="harm",
        module="bench_harm",
        shows="wrong feedback, unasked patterns, strangers",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("honest", "honest feedback", "share", "frozen", "frozen"),
            Figure("shuffled", "shuffled feedback", "share", "frozen", "frozen"),
            Figure("inverted", "inverted feedback", "share", "frozen", "frozen"),
            Figure("wrong20", "20 % wrong feedback", "share", "frozen", "frozen"),
            Figure("unseen", "patterns nobody gave feedback on", "share", "unseen_frozen", "frozen"),
            Figure("foreign_after", "strangers in the bank", "share", "foreign_before", "before"),
            Figure("worst_loss", "largest loss of any case", "share", better=LESS),
        ),
        read=of_report,
        small_data=TEXTS,
        full_data=("banking77",),
        has_own_text=True,
    ),
    Entry(
        name="transfer",
        module="bench_transfer",
        shows="agents that each see one domain",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("swarm", "the swarm, all domains", "share", "isolated", "alone", bound=NO_LOSS),
            Figure("own_swarm", "the swarm, an agent's own domain", "share", "own_isolated", "alone"),
            Figure("swarm", "the swarm, all domains", "share", "everything", "one that saw all"),
            Figure("worst_agent_own", "who gains least by joining", "share"),
            Figure("poison_loss", "lost by one poisoner", "share", better=LESS),
        ),
        read=of_report,
        small_data=TEXTS,
        full_data=("banking77", "clinc150"),
        has_own_text=True,
    ),
    Entry(
        name="tools",
        module="bench_tools",
        shows="the right tool, MRR@10",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("ours_mrr10", "after feedback", "", "raw_mrr10", "cold", bound=NO_LOSS),
            Figure("ours_mrr10", "after feedback", "", "past_success_mrr10", "past successes"),
            Figure("ours_mrr10", "after feedback", "", "logistic_bound_mrr10", "logistic, told every label"),
        ),
        full_figures=(
            Figure("ours_mrr10", "after feedback", "", "raw_mrr10", "cold", bound=Bound(least=0.9)),
            Figure("ours_mrr10", "after feedback", "", "past_success_mrr10", "past successes"),
            Figure("ours_mrr10", "after feedback", "", "logistic_bound_mrr10", "logistic, told every label"),
        ),
        read=of_report,
        small_data=TOOLS,
        full_data=("metatool",),
    ),
    Entry(
        name="routing",
        module="bench_routing",
        shows="which model for a request",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("ours_quality", "quality, balanced", "share", "knn_quality", "kNN"),
            Figure("ours_cost", "USD a request, balanced", "", "best_single_cost", "best model", None, LESS),
            Figure("ours_aiq", "quality over all costs (AIQ)", "share", "knn_aiq", "kNN"),
            Figure("ours_online_last", "online, last fifth", "share", "best_single_online_last", "best model"),
        ),
        read=of_report,
        small_data=ROUTES,
        full_data=("routing_specialists", "routing_mmlu"),
    ),
    Entry(
        name="sharing",
        module="bench_sharing",
        shows="what others did with such a task",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("shared_top1", "shared bank, right plan first", "share", "own_top1", "own bank", bound=NO_LOSS),
            Figure("shared_top1", "shared bank, right plan first", "share", "shared_plain_top1", "plain similarity"),
        ),
        read=of_report,
        small_data=RUNS,
        full_data=("workbench",),
    ),
    Entry(
        name="credit",
        module="bench_credit",
        shows="credit to steps",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("step_auc", "which runs succeed, AUC", "", "whole_auc", "whole runs"),
            Figure("step_top1", "which function to call", "share", "whole_top1", "whole runs"),
        ),
        read=of_report,
        small_data=RUNS,
        full_data=("workbench",),
    ),
    Entry(
        name="placement",
        module="bench_placement",
        shows="which agent does a task",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("placed", "the agent that is chosen succeeds", "share", "random", "random", bound=NO_LOSS),
            Figure("placed", "the agent that is chosen succeeds", "share", "best_agent", "always the best"),
        ),
        read=of_report,
        small_data=RUNS,
        full_data=("workbench", "banking77"),
        has_own_text=True,
    ),
)

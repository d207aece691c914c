"""The autoscale language of Azure Batch: parse, check, evaluate, explain, generate.

Needs the standard library alone and no other package of this project. No public evaluator
of the language exists; docs/autoscale.md says which behaviour is documented, which was
recorded from the service, and which is a judgement that `Semantics` can change.
"""

from __future__ import annotations

from autoscale.checking import check
from autoscale.errors import AutoscaleError, CaseError, FormulaError, PolicyError
from autoscale.evaluation import Evaluation, EvaluationError, Targets, evaluate, refusal
from autoscale.explanation import Explanation, explain
from autoscale.findings import Finding
from autoscale.limits import Limits
from autoscale.parser import parse
from autoscale.semantics import Semantics
from autoscale.syntax import Formula

__all__ = [
    "AutoscaleError",
    "CaseError",
    "Evaluation",
    "EvaluationError",
    "Explanation",
    "Finding",
    "Formula",
    "FormulaError",
    "Limits",
    "PolicyError",
    "Semantics",
    "Targets",
    "check",
    "evaluate",
    "explain",
    "parse",
    "refusal",
]

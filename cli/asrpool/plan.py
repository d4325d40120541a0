"""`asrpool plan`: what the operator would decide for a pool in a given state, and why. Needs no cluster.

The very functions of the operator run on the files: `decide()` and the plan that follows from it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from asrpool.errors import UsageError
from asrpool_operator.api import ASRPool, parse
from asrpool_operator.errors import SpecError
from asrpool_operator.plan import Action, Annotate, Drain, Scale, SetCapacity, Undrain, plan
from asrpool_operator.policy import Decision, Memory, decide
from asrpool_operator.snapshot import PoolSnapshot

Model = TypeVar("Model", bound=BaseModel)


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Register the command."""
    parser = commands.add_parser(
        "plan",
        help="what the operator would decide, and why",
        description="Decide for a pool in a given state, as the operator does, and say which rule made what of it.",
        epilog="exit status: 0 decided, 2 a file is wrong. Examples of snapshots: examples/snapshots/",
    )
    parser.add_argument("-f", "--file", type=Path, required=True, help="YAML with the ASRPool")
    parser.add_argument("--snapshot", type=Path, required=True, help="JSON of what was seen of the pool")
    parser.add_argument("--memory", type=Path, help="JSON of what the decision before left; starts empty without it")
    parser.add_argument(
        "--now", type=float, help="unix seconds to decide at (default: when the snapshot's newest number was taken)"
    )
    parser.add_argument("--json", action="store_true", help="print the whole decision and its actions as JSON")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Decide once and print it."""
    pool = _pool(parsed.file)
    snapshot = _read(parsed.snapshot, PoolSnapshot)
    memory = _read(parsed.memory, Memory) if parsed.memory else Memory()
    now = newest_unix_seconds(snapshot) if parsed.now is None else parsed.now
    decision = decide(pool.spec, snapshot, memory, now)
    actions = plan(snapshot, decision)
    if parsed.json:
        print(
            json.dumps(
                {
                    "decision": decision.model_dump(mode="json"),
                    "actions": [{"do": type(action).__name__, **vars(action)} for action in actions],
                },
                indent=2,
                ensure_ascii=False,
            )
        )
    else:
        print(explain(pool, snapshot, decision, actions))
    return 0


def newest_unix_seconds(snapshot: PoolSnapshot) -> float:
    """The moment the snapshot is of: its newest time."""
    times = [snapshot.gateway.scraped_unix_seconds]
    for worker in snapshot.workers:
        times += [worker.created_unix_seconds, worker.ready_unix_seconds]
        times.append(worker.status.scraped_unix_seconds if worker.status else None)
    return max((time for time in times if time is not None), default=0.0)


def explain(pool: ASRPool, snapshot: PoolSnapshot, decision: Decision, actions: tuple[Action, ...]) -> str:
    """The decision in words."""
    seen = decision.inputs
    lines = [
        f"pool {pool.metadata.name}: {decision.sessions} live sessions, {decision.queued} waiting at the gateway",
        (
            f"pods: {int(seen['serving'])} take newcomers, {int(seen['draining'])} drain, {int(seen['coming'])} are coming, "
            f"{int(seen['failing'])} fail; replicas {snapshot.replicas}"
        ),
        (
            f"reckoned with: {decision.sessions_per_pod:g} sessions a pod, mean session {seen['mean_session_seconds']:g} s, "
            f"cold start {seen['cold_start_seconds']:g} s"
        ),
        "",
        "rule             from    to  why",
    ]
    lines += [
        f"{outcome.rule:<15} {outcome.before:>5} {outcome.after:>5}  {outcome.sentence}"
        + ("" if outcome.after == outcome.before else "  *")
        for outcome in decision.rules
    ]
    lines += [
        "",
        (
            f"decided by {decision.rule}: {decision.desired_replicas} pods shall take newcomers; "
            f"replicas {snapshot.replicas} → {decision.replicas}"
        ),
    ]
    if decision.limited:
        lines.append(f"limited by {decision.limited}")
    if not decision.metrics_available:
        lines.append("some numbers are missing or stale: nothing is taken away for them")
    if decision.not_acted_on:
        lines.append(f"not acted on by this version: {', '.join(decision.not_acted_on)}")
    lines += ["", "actions, in this order:" if actions else "nothing to do"]
    lines += [f"  {number}. {_words(action)}" for number, action in enumerate(actions, start=1)]
    return "\n".join(lines)


def _words(action: Action) -> str:
    match action:
        case Scale(before, replicas):
            return f"set replicas {before} → {replicas}"
        case Annotate(pod, cost, None):
            return f"annotate {pod}: deletion cost {cost}"
        case Annotate(pod, cost, _):
            return f"annotate {pod}: deletion cost {cost}, draining"
        case Undrain(pod):
            return f"un-drain {pod}"
        case Drain(pod):
            return f"drain {pod}"
        case SetCapacity(pod, sessions):
            return f"let {pod} admit {sessions} sessions"


def _pool(path: Path) -> ASRPool:
    try:
        documents = [found for found in yaml.safe_load_all(_text(path)) if found is not None]
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    pools = [found for found in documents if isinstance(found, dict) and found.get("kind") == "ASRPool"]
    if len(pools) != 1:
        raise UsageError(f"{path} holds {len(pools)} objects of kind ASRPool; it must hold one")
    try:
        return parse(pools[0])
    except SpecError as error:
        raise UsageError(f"{path}: {error}") from error


def _read(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(_text(path))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'the file'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise UsageError(f"{path}: {problems}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error

from __future__ import annotations

from pathlib import Path

import pytest

from devcluster.settings import Settings
from devcluster.target import Choice, Kind, choose

OWN = Settings()
MINE = "/home/me/.kube/config"


@pytest.mark.parametrize(
    ("context", "environment", "kind_works", "expected"),
    [
        pytest.param(None, {}, False, Choice(Kind.EMBEDDED), id="nothing-named-no-docker"),
        pytest.param(None, {}, True, Choice(Kind.KIND), id="nothing-named-kind-and-docker"),
        pytest.param(None, {"KUBECONFIG": ""}, True, Choice(Kind.KIND), id="an-empty-variable-names-nothing"),
        pytest.param("prod", {}, True, Choice(Kind.EXISTING, None, "prod"), id="option-wins-over-kind"),
        pytest.param(
            "prod",
            {"ASRPOOL_KUBECONTEXT": "stage"},
            True,
            Choice(Kind.EXISTING, None, "prod"),
            id="option-over-variable",
        ),
        pytest.param(
            None, {"ASRPOOL_KUBECONTEXT": "stage"}, True, Choice(Kind.EXISTING, None, "stage"), id="context-variable"
        ),
        pytest.param(None, {"KUBECONFIG": MINE}, True, Choice(Kind.EXISTING, Path(MINE)), id="kubeconfig"),
        pytest.param(None, {"KUBECONFIG": f"{MINE}:/b"}, False, Choice(Kind.EXISTING), id="several-kubeconfigs"),
        pytest.param(
            "prod", {"KUBECONFIG": MINE}, False, Choice(Kind.EXISTING, Path(MINE), "prod"), id="context-in-kubeconfig"
        ),
        pytest.param(None, {"KUBECONFIG": str(OWN.kubeconfig)}, True, Choice(Kind.EMBEDDED), id="our-own-kubeconfig"),
        pytest.param("devcluster-asrpool", {}, True, Choice(Kind.EMBEDDED), id="our-own-context"),
    ],
)
def test_choice(context: str | None, environment: dict[str, str], *, kind_works: bool, expected: Choice) -> None:
    assert choose(context=context, environment=environment, embedded=OWN, kind_works=lambda: kind_works) == expected


def test_docker_is_not_asked_when_a_cluster_is_named() -> None:
    def never() -> bool:
        raise AssertionError("asked")

    choose(context="prod", environment={}, embedded=OWN, kind_works=never)

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from devcluster.errors import UsageError
from devcluster.settings import Settings


def test_addresses_follow_from_the_network_and_never_overlap() -> None:
    settings = Settings(network=IPv4Network("10.50.0.0/16"))
    parts = [settings.pods, settings.services, settings.link]
    assert all(part.subnet_of(settings.network) for part in parts)
    assert not any(a.overlaps(b) for a in parts for b in parts if a is not b)
    assert str(settings.dns_service_ip) == "10.50.64.10"
    assert str(settings.api_service_ip) == "10.50.64.1"
    assert {settings.host_ip, settings.node_ip} == set(settings.link.hosts())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"name": "Upper"}, "Upper", id="name-with-capitals"),
        pytest.param({"name": "thirteen-char"}, "thirteen-char", id="name-too-long-for-a-link"),
        pytest.param({"state": Path("relative")}, "relative", id="relative-state"),
        pytest.param({"state": Path("/run/dc")}, "/run/dc", id="state-that-the-node-cannot-see"),
        pytest.param({"network": IPv4Network("10.0.0.0/8")}, "10.0.0.0/8", id="network-too-large"),
        pytest.param({"network": IPv4Network("8.8.0.0/16")}, "8.8.0.0/16", id="public-network"),
        pytest.param({"dns_ttl_seconds": -1}, "-1", id="negative-ttl"),
        pytest.param({"extended_resources": {"gpu": 1}}, "gpu=1", id="resource-without-domain"),
    ],
)
def test_what_cannot_work_is_refused_by_name(change: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Settings(**change)  # type: ignore[arg-type]


def test_settings_survive_in_the_state_folder(tmp_path: Path) -> None:
    settings = Settings("other", tmp_path, IPv4Network("10.7.0.0/16"), 1, {"nvidia.com/gpu": 2})
    assert Settings.load(tmp_path) is None
    settings.save()
    assert Settings.load(tmp_path) == settings


def test_a_link_name_fits_the_kernels_limit() -> None:
    assert len(Settings(name="a" * 12).link_name) <= 15

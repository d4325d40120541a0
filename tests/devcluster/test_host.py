from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from devcluster import host
from devcluster.binaries import GO_SOURCES, MODULES, ensure_binaries, module_version, needed_go_version
from devcluster.components import Component
from devcluster.errors import BuildError, HostError, UsageError
from devcluster.health import component_statuses
from devcluster.network import clashing_route
from devcluster.node_process import UnitState
from devcluster.packages import CLUSTER_PACKAGES, ensure_packages, missing
from devcluster.settings import Settings

SETTINGS = Settings(network=IPv4Network("10.50.0.0/16"))


@pytest.mark.parametrize(
    ("route", "clash"),
    [
        pytest.param({"dst": "default", "dev": "eth0"}, None, id="default"),
        pytest.param({"dst": "192.168.1.0/24", "dev": "eth0"}, None, id="elsewhere"),
        pytest.param({"dst": "10.50.0.0/16", "dev": SETTINGS.link_name}, None, id="our-own"),
        pytest.param({"dst": "10.50.0.0/16", "type": "unreachable", "metric": 4278198272}, None, id="our-own-floor"),
        pytest.param({"dst": "10.0.0.0/8", "dev": "tun0"}, "10.0.0.0/8 dev tun0", id="a-vpn-around-it"),
        pytest.param({"dst": "10.50.3.7", "dev": "eth1"}, "10.50.3.7 dev eth1", id="a-host-within-it"),
        pytest.param({"dst": "fe80::/64", "dev": "eth0"}, None, id="ipv6"),
    ],
)
def test_addresses_in_use_are_noticed(route: dict[str, Any], clash: str | None) -> None:
    assert clashing_route(SETTINGS, [route]) == clash


def test_cgroups_of_either_version_are_made_and_removed_innermost_first(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    version_1 = tmp_path / "v1"
    for name in ("cpu", "memory"):
        (version_1 / name).mkdir(parents=True)
        (version_1 / name / "cgroup.procs").touch()
    (version_1 / "not-a-hierarchy").mkdir()
    host.make_cgroups(settings, version_1)
    (version_1 / "memory" / settings.cgroup / "kubepods" / "pod1").mkdir(parents=True)
    assert host.cgroup_roots(settings, version_1) == [version_1 / n / settings.cgroup for n in ("cpu", "memory")]
    assert host.remove_cgroups(settings, version_1) == []

    version_2 = tmp_path / "v2"
    version_2.mkdir()
    (version_2 / "cgroup.controllers").write_text("cpu memory\n")
    host.make_cgroups(settings, version_2)
    assert (version_2 / settings.cgroup / "cgroup.subtree_control").read_text() == "+cpu +memory"


def test_a_cgroup_that_stays_busy_is_named(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    root = tmp_path / "cpu" / settings.cgroup
    root.mkdir(parents=True)
    (tmp_path / "cpu/cgroup.procs").touch()
    (root / "busy").touch()
    assert host.remove_cgroups(settings, tmp_path, patience_seconds=0.0) == [root]


def _proc_sys(folder: Path, boot: str, panic: str) -> Path:
    for name, value in {"kernel/random/boot_id": boot, "kernel/panic": panic}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(value + "\n")
    return folder


def test_kernel_settings_are_put_back_as_they_were_before_the_first_up(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    proc_sys = _proc_sys(tmp_path / "sys", "boot-1", "0")
    host.save_sysctls(settings, proc_sys)
    _proc_sys(proc_sys, "boot-1", "10")
    host.save_sysctls(settings, proc_sys)
    host.restore_sysctls(settings, proc_sys)
    assert (proc_sys / "kernel/panic").read_text().strip() == "0"


def test_kernel_settings_of_an_earlier_boot_are_forgotten(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    proc_sys = _proc_sys(tmp_path / "sys", "boot-1", "0")
    host.save_sysctls(settings, proc_sys)
    _proc_sys(proc_sys, "boot-2", "5")
    host.restore_sysctls(settings, proc_sys)
    assert (proc_sys / "kernel/panic").read_text().strip() == "5"


def test_root_is_asked_for_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HostError, match=r"needs root.*sudo"):
        host.require_root()


def test_missing_packages_are_named_where_there_is_no_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/containerd").touch()
    assert "containerd" not in missing(CLUSTER_PACKAGES, tmp_path)
    assert "runc" in missing(CLUSTER_PACKAGES, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match=r"lacks such-a-package.*neither Debian nor Ubuntu"):
        ensure_packages({"such-a-package": "/nowhere/such"}, print)


def _unit(name: str, **change: object) -> UnitState:
    values: dict[str, Any] = {
        "wanted": True,
        "pid": 7,
        "running_seconds": 1.0,
        "restarts": 0,
        "last_exit": "",
        **change,
    }
    return UnitState(name=name, **values)


@pytest.mark.parametrize(
    ("unit", "ailment", "state"),
    [
        pytest.param(_unit("etcd"), None, "healthy", id="answers"),
        pytest.param(_unit("etcd"), "connection refused", "unhealthy", id="does-not-answer"),
        pytest.param(_unit("etcd", pid=None, last_exit="exit 1"), None, "unhealthy", id="crashed"),
        pytest.param(_unit("etcd", pid=None, wanted=False), None, "stopped", id="told-to-stop"),
        pytest.param(_unit("kubelet"), None, "missing", id="never-started"),
    ],
)
def test_a_components_state(unit: UnitState, ailment: str | None, state: str) -> None:
    component = Component("etcd", ("/bin/etcd",), health="http://node/health")
    [status] = component_statuses([component], [unit], lambda _: ailment)
    assert status.state == state


def test_every_program_is_pinned_and_its_sums_are_known() -> None:
    for module in MODULES:
        text = (GO_SOURCES / module.folder / "go.mod").read_text()
        assert ("require" in text) == (GO_SOURCES / module.folder / "go.sum").exists()
    assert module_version(GO_SOURCES / "kubernetes/go.mod", "k8s.io/kubernetes").startswith("v1.")
    assert needed_go_version() >= (1, 25)
    with pytest.raises(BuildError, match="example"):
        module_version(GO_SOURCES / "etcd/go.mod", "example.com/none")


def test_a_modules_key_follows_its_sources(tmp_path: Path) -> None:
    module = next(module for module in MODULES if module.folder == "pause")
    (tmp_path / "pause").mkdir()
    (tmp_path / "pause/main.go").write_text("package main")
    before = module.key(tmp_path)
    assert module.key(tmp_path) == before
    (tmp_path / "pause/main.go").write_text("package main // changed")
    assert module.key(tmp_path) != before


def test_an_unknown_program_is_named() -> None:
    with pytest.raises(UsageError, match="kubeadm"):
        ensure_binaries(print, ["kubeadm"])

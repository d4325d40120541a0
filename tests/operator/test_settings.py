"""Settings of the operator process: all wrong ones are named at once, before anything starts."""

from __future__ import annotations

import pytest

from asrpool_operator.errors import SettingsError
from asrpool_operator.main import EXIT_USAGE, main
from asrpool_operator.settings import settings_from


def test_defaults_watch_the_whole_cluster_and_take_part_in_the_election() -> None:
    settings = settings_from({}, {})
    assert settings.namespaces == ()
    assert settings.leader_elect
    assert (settings.port, settings.interval_seconds, settings.lease_namespace) == (8081, 1.0, "default")


def test_a_pod_knows_its_own_name_and_namespace() -> None:
    settings = settings_from({}, {"POD_NAME": "op-1", "POD_NAMESPACE": "asr"})
    assert (settings.identity, settings.lease_namespace) == ("op-1", "asr")


def test_flags_win_over_the_environment() -> None:
    environ = {"ASRPOOL_OPERATOR_PORT": "9000", "ASRPOOL_OPERATOR_NAMESPACE": "a, b"}
    assert settings_from({}, environ).port == 9000
    assert settings_from({}, environ).namespaces == ("a", "b")
    settings = settings_from({"port": "9001", "namespace": ["c", "d"]}, environ)
    assert (settings.port, settings.namespaces) == (9001, ("c", "d"))


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"port": "http"}, "--port"),
        ({"port": "0"}, "--port"),
        ({"interval_seconds": "0"}, "--interval-seconds"),
        ({"leader_elect": "maybe"}, "--leader-elect"),
        ({"log_level": "loud"}, "--log-level"),
        ({"namespace": ["Not_A_Namespace"]}, "Not_A_Namespace"),
        ({"worker_image": " "}, "--worker-image"),
        ({"image_pull_policy": "Sometimes"}, "--image-pull-policy"),
    ],
)
def test_a_wrong_setting_is_named(flags: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        settings_from(flags, {})


def test_all_wrong_settings_are_named_together() -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from({"port": "x", "log_format": "xml"}, {})
    assert "--port" in str(caught.value)
    assert "--log-format" in str(caught.value)


def test_the_command_ends_with_the_usage_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--port", "x"]) == EXIT_USAGE
    assert "--port" in capsys.readouterr().err

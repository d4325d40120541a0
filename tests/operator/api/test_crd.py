"""The CRD: in step with the models, and of the form that the API server takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asrpool_operator.api import crd
from asrpool_operator.api.base import Group

PROJECT = Path(__file__).parents[3]


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema node with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from nodes(node[key], f"{path}[]")


def root() -> dict[str, Any]:
    schema: dict[str, Any] = crd.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def test_the_checked_in_file_is_in_step() -> None:
    """`make crd` after every change of the models."""
    assert (PROJECT / "crds" / "asrpools.yaml").read_text(encoding="utf-8") == crd.text()


def test_the_schema_is_structural() -> None:
    """Every node has a type or is int-or-string, and nothing that structural schemas do not know."""
    for path, node in nodes(root()):
        assert not node.keys() & {"$ref", "anyOf", "oneOf", "allOf", "const", "title", "propertyNames"}, path
        assert ("type" in node) != bool(node.get("x-kubernetes-int-or-string")), path


def test_kubectl_explain_has_words_for_every_field() -> None:
    silent = [
        path
        for path, node in nodes(root())
        if path and not path.endswith("[]") and path != ".metadata" and not node.get("description")
    ]
    assert silent == []


def test_what_rules_look_at_is_bounded() -> None:
    """Lists, maps and strings without bounds make the cost of CEL rules unbounded, and the CRD refused."""
    for path, node in nodes(root()["properties"]["spec"]):
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


def test_every_rule_is_in_the_schema() -> None:
    def groups(cls: type[Group]) -> Iterator[type[Group]]:
        for child in cls.__subclasses__():
            yield child
            yield from groups(child)

    written = {rule["message"] for _, node in nodes(root()) for rule in node.get("x-kubernetes-validations", [])}
    assert written == {rule.sentence for cls in groups(Group) for rule in cls.rules}


def test_scale_and_status_are_subresources() -> None:
    version = crd.definition()["spec"]["versions"][0]

    assert version["subresources"]["status"] == {}
    for path in version["subresources"]["scale"].values():
        node = root()
        for name in path.strip(".").split("."):
            node = node["properties"][name]
        assert node["type"] in {"integer", "string"}


def test_printer_columns_show_fields_that_exist() -> None:
    for column in crd.PRINTER_COLUMNS:
        path = column["jsonPath"]
        if path.startswith(".status.") and "?" not in path:
            node = root()
            for name in path.strip(".").split("."):
                node = node["properties"][name]
            assert node["type"] == column["type"]

"""The CustomResourceDefinition, made from the pydantic models: `python -m asrpool_operator.api.crd > crds/asrpools.yaml`.

Kubernetes wants a structural OpenAPI v3 schema: no references, no unions but int-or-string, no `null` branches, no
`additionalProperties: false`. `structural()` brings pydantic's JSON Schema into that form; rules of the groups become
CEL (`x-kubernetes-validations`), so that a wrong object is refused with a sentence before the operator sees it.
Reference: kubernetes.io, "Extend the Kubernetes API with CustomResourceDefinitions".
"""

from __future__ import annotations

import sys
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from asrpool_operator.api.base import Group
from asrpool_operator.api.resource import GROUP, KIND, PLURAL, VERSION, ASRPool, ASRPoolSpec
from asrpool_operator.api.status import ASRPoolStatus

Schema = dict[str, Any]

COPIED = (
    "description", "type", "format", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems",
    "maxItems", "minProperties", "maxProperties", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
)  # fmt: skip
PRINTER_COLUMNS: list[Schema] = [
    {"name": "Available", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].status"},
    {"name": "Ready", "type": "integer", "jsonPath": ".status.readyReplicas"},
    {"name": "Desired", "type": "integer", "jsonPath": ".status.desiredReplicas"},
    {"name": "Draining", "type": "integer", "jsonPath": ".status.drainingReplicas"},
    {"name": "Sessions", "type": "integer", "jsonPath": ".status.sessions"},
    {"name": "Queued", "type": "integer", "jsonPath": ".status.queued"},
    {"name": "Per-Pod", "type": "number", "jsonPath": ".status.sessionsPerPod", "priority": 1},
    {"name": "Latency-ms", "type": "number", "jsonPath": ".status.latencyMilliseconds", "priority": 1},
    {"name": "Reason", "type": "string", "jsonPath": ".status.lastDecision.reason", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


class _SchemaWithRules(GenerateJsonSchema):
    """Pydantic's generator, with each group's rules beside its properties."""

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        made = super().model_schema(schema)
        cls = schema["cls"]
        if issubclass(cls, Group) and cls.rules:
            made["x-kubernetes-validations"] = _validations(cls)
        return made


def _validations(cls: type[Group]) -> list[Schema]:
    return [
        {"rule": rule.cel, "message": rule.sentence, **({"fieldPath": rule.field} if rule.field else {})}
        for rule in cls.rules
    ]


def definition() -> Schema:
    """The whole CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "asrpool",
                "shortNames": ["asrp"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": PRINTER_COLUMNS,
                    "subresources": {
                        "status": {},
                        # `kubectl scale` sets the floor: the number above it is the operator's to find.
                        "scale": {
                            "specReplicasPath": ".spec.scaling.minReplicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def _root() -> Schema:
    return {
        "type": "object",
        "description": (ASRPool.__doc__ or "").strip(),
        "required": ["spec"],
        "x-kubernetes-validations": _validations(ASRPool),
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of the schema of this object."},
            "kind": {"type": "string", "description": "Kind of this object."},
            "metadata": {"type": "object"},
            "spec": schema_of(ASRPoolSpec),
            "status": schema_of(ASRPoolStatus),
        },
    }


def schema_of(model: type[BaseModel]) -> Schema:
    """The structural schema of one model, references inlined."""
    made = model.model_json_schema(by_alias=True, schema_generator=_SchemaWithRules)
    return structural(made, made.get("$defs", {}))


def structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """One JSON Schema node of pydantic's as a structural OpenAPI v3 node."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[1]]
        schema = target | {key: value for key, value in schema.items() if key != "$ref"}
    if "anyOf" in schema:
        schema = _without_union(schema, definitions)
    node: Schema = {key: schema[key] for key in COPIED if key in schema}
    if "const" in schema:
        node["enum"] = [schema["const"]]
    if "description" in node:
        node["description"] = " ".join(node["description"].split())
    if "properties" in schema:
        node["properties"] = {name: structural(part, definitions) for name, part in schema["properties"].items()}
    if schema.get("required"):
        node["required"] = schema["required"]
    if "items" in schema:
        node["items"] = structural(schema["items"], definitions)
    if isinstance(schema.get("additionalProperties"), dict):
        node["additionalProperties"] = structural(schema["additionalProperties"], definitions)
    default = schema.get("default")
    if default not in (None, [], {}):
        node["default"] = _default(default, node)
    return node


def _without_union(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """`X | None` becomes X (absent means none in Kubernetes); `int | str` becomes int-or-string; nothing else is possible."""
    branches = [branch for branch in schema["anyOf"] if branch.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if len(branches) == 1:
        branch: Schema = branches[0]
        if "$ref" in branch:
            branch = definitions[branch["$ref"].rsplit("/", 1)[1]]
        return branch | rest
    if {branch.get("type") for branch in branches} != {"integer", "string"}:
        raise ValueError(f"a CRD cannot say this union: {schema['anyOf']}")
    return rest | {"x-kubernetes-int-or-string": True}


def _default(default: Any, node: Schema) -> Any:  # noqa: ANN401 - any JSON value may be a default
    """A group's default without what its own fields' defaults say already: often `{}`, which the API server fills in."""
    if not isinstance(default, dict):
        return default
    own: Schema = {}
    for name, value in default.items():
        child = node.get("properties", {}).get(name, {})
        if value in (None, [], {}):
            continue
        nested = _default(value, child)
        if nested != child.get("default"):
            own[name] = nested
    return own


def text() -> str:
    """The CRD as the YAML file that is checked in."""
    head = "# Made from operator/asrpool_operator/api by `make crd`; do not edit.\n"
    return head + yaml.safe_dump(definition(), sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    sys.stdout.write(text())

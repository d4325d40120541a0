"""`spec.models` and `spec.worker`: what the worker pods run and what they run on."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from asrpool_operator.api.base import Group, Rule

ModelName = Annotated[str, StringConstraints(min_length=1, max_length=512)]
LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317)]
LabelValue = Annotated[str, StringConstraints(max_length=63)]
ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Quantity = int | str
PRESERVE_UNKNOWN: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}


class Models(Group):
    """The models each worker loads: FunASR model ids, or directories inside the worker's container."""

    rules = (
        Rule(
            cel="has(self.online) || has(self.offline)",
            sentence="set online, offline or both: without either there is nothing to recognise with",
            holds=lambda models: bool(models.online or models.offline),
        ),
    )

    online: ModelName | None = None
    """Streaming model for partial results (modes `online` and `2pass`)."""
    offline: ModelName | None = None
    """Whole-utterance model for final results (modes `offline` and `2pass`)."""
    vad: ModelName | None = None
    """Voice activity model that finds where utterances end."""
    punc: ModelName | None = None
    """Punctuation model for final results."""
    speaker: ModelName | None = None
    """Speaker embedding model: final results say who spoke, as `speaker-1`, `speaker-2`, … of each stream. Voices that are to be
    known by name are mounted with worker.podTemplate, and their folder named by the variable ASRPOOL_SPEAKERS.
    """
    itn: bool = False
    """Numbers, dates and money as figures in final results; a stream may do without."""


class Engine(StrEnum):
    """What computes the models."""

    ONNX = "onnx"
    TORCH = "torch"


class Dtype(StrEnum):
    """The number format the models are computed in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


class PullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class LocalObjectReference(Group):
    """The name of an object in the pool's own namespace."""

    name: ObjectName
    """The object's name."""


class ResourceRequirements(Group):
    """Compute resources of the container, in a pod's own words."""

    limits: dict[LabelKey, Quantity] = Field(default_factory=dict, max_length=32)
    """The most the container may use, for example `nvidia.com/gpu: 1`."""
    requests: dict[LabelKey, Quantity] = Field(default_factory=dict, max_length=32)
    """What the scheduler sets aside for the container."""


class TolerationOperator(StrEnum):
    """How a toleration compares."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """Which taint effect a toleration matches."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Group):
    """A taint that the pods tolerate, in a pod's own words."""

    key: LabelKey | None = None
    """The taint's key; empty with operator Exists matches all."""
    operator: TolerationOperator | None = None
    """Exists or Equal (the default)."""
    value: LabelValue | None = None
    """The taint's value, with operator Equal."""
    effect: TaintEffect | None = None
    """The taint's effect; empty matches all."""
    toleration_seconds: int | None = Field(default=None, ge=0)
    """How long a NoExecute taint is tolerated."""


class EmptyDir(Group):
    """A volume that lives as long as the pod."""

    size_limit: Quantity | None = None
    """The most it may hold, for example `10Gi`."""


class ModelCache(Group):
    """Where downloaded models are kept, so that the next pod does not fetch them again."""

    rules = (
        Rule(
            cel="(has(self.persistentVolumeClaim) ? 1 : 0) + (has(self.hostPath) ? 1 : 0) + (has(self.emptyDir) ? 1 : 0) == 1",
            sentence="set exactly one of persistentVolumeClaim, hostPath and emptyDir",
            holds=lambda cache: (
                sum(source is not None for source in (cache.persistent_volume_claim, cache.host_path, cache.empty_dir))
                == 1
            ),
        ),
    )

    persistent_volume_claim: ObjectName | None = None
    """Name of a PersistentVolumeClaim; several pods mount it, so it must allow that (ReadWriteMany or one node)."""
    host_path: Annotated[str, StringConstraints(pattern=r"^/[^\x00]*$", max_length=1024)] | None = None
    """An absolute path on the node."""
    empty_dir: EmptyDir | None = None
    """A volume of the pod's own: the cache is lost with the pod."""


class Batching(Group):
    """How live streams are put together into one model step."""

    max_batch: int = Field(default=64, ge=1, le=1024)
    """The most streams in one step."""


class Worker(Group):
    """The worker pods: image, engine, hardware, and an overlay for everything else."""

    rules = (
        Rule(
            cel="!has(self.engine) || !has(self.dtype) || self.engine != 'onnx' || self.dtype in ['float32', 'int8']",
            sentence="engine onnx computes in float32 or int8; float16 and bfloat16 need engine torch",
            holds=lambda worker: worker.engine is not Engine.ONNX or worker.dtype in (Dtype.FLOAT32, Dtype.INT8),
            field=".dtype",
        ),
        Rule(
            cel="!has(self.engine) || !has(self.dtype) || self.engine != 'torch' || self.dtype != 'int8'",
            sentence="engine torch computes in float32, float16 or bfloat16; int8 needs engine onnx",
            holds=lambda worker: worker.engine is not Engine.TORCH or worker.dtype is not Dtype.INT8,
            field=".dtype",
        ),
    )

    image: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """Container image; the operator's own default where empty."""
    image_pull_policy: PullPolicy | None = None
    """When the image is pulled; the cluster's default where empty."""
    image_pull_secrets: tuple[LocalObjectReference, ...] = Field(default=(), max_length=16)
    """Secrets that the image is pulled with."""
    engine: Engine = Engine.ONNX
    """`onnx` runs on CPU pods from a small image; `torch` on GPUs."""
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    """`auto` takes the GPU where the pod has one."""
    dtype: Dtype = Dtype.FLOAT32
    """The number format the models are computed in: float16 and bfloat16 with engine torch; int8 with engine onnx, from
    directories that `asrpool-worker export --int8` wrote.
    """
    threads: int | None = Field(default=None, ge=1, le=256)
    """CPU threads of the engine; from the CPU limit where empty."""
    resources: ResourceRequirements = ResourceRequirements()
    """Requests and limits of the worker container."""
    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=64)
    """Labels that a node must carry to run a worker."""
    tolerations: tuple[Toleration, ...] = Field(default=(), max_length=64)
    """Taints that the workers tolerate."""
    pod_template: dict[str, Any] = Field(default_factory=dict, json_schema_extra=PRESERVE_UNKNOWN)
    """A pod template (`metadata`, `spec`) merged over the one the operator makes; its container is named `worker`.
    A terminationGracePeriodSeconds shorter than scaling.drainSeconds and 30 s is refused: it would cut live streams.
    """
    model_cache: ModelCache | None = None
    """A volume for downloaded models; none by default (models in the image, or fetched by each pod)."""
    batching: Batching = Batching()
    """How live streams are put together into one model step."""

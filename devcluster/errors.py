"""What can go wrong with the development cluster, by whose fault it is. Each error says what to do next."""


class DevclusterError(Exception):
    """A failure with a sentence for the person at the terminal and a way forward."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}")
        self.problem = problem
        self.remedy = remedy


class UsageError(DevclusterError):
    """The request cannot be met as it was put (bad name, clashing addresses, a cluster with other settings)."""


class HostError(DevclusterError):
    """The machine lacks something: root, Debian's package tools, a kernel feature."""


class BuildError(DevclusterError):
    """A binary or an image could not be built."""


class ComponentError(DevclusterError):
    """A part of the cluster did not come up or does not answer."""

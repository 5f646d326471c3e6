"""The place where a value of the configuration was set."""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Layer(Enum):
    """A place where options can be set, strongest first."""

    ENVIRONMENT = "environment"
    CODE = "code"
    FRAMEWORK = "framework settings"
    FILE = "file"
    DERIVED = "derived"
    DEFAULT = "default"


@frozen
class Origin:
    """The layer that a value comes from, and its place in that layer. ``str()`` renders it for a person."""

    layer: Layer
    name: str = ""
    """Variable of the environment, name of the framework, path of the file, or what the value was derived from; else empty."""

    @property
    def is_set(self) -> bool:
        """Whether a person set the value: it is neither derived nor the default."""
        return self.layer not in (Layer.DERIVED, Layer.DEFAULT)

    def __str__(self) -> str:
        if not self.name:
            return self.layer.value
        if self.layer is Layer.FRAMEWORK:
            return f"{self.name} settings"
        return f"{self.layer.value}{':' if self.layer is Layer.DERIVED else ''} {self.name}"


CODE = Origin(Layer.CODE)
DEFAULT = Origin(Layer.DEFAULT)


def from_environment(variable: str) -> Origin:
    """A variable of the environment."""
    return Origin(Layer.ENVIRONMENT, variable)

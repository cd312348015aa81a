"""Constructor arguments, remembered so that a saved model can be built again."""

import functools
import inspect
from typing import TypeVar

Class = TypeVar("Class", bound=type)


def recorded(cls: Class) -> Class:
    """Class decorator: keep the constructor's arguments in `constructor_arguments`.

    Defaults are written out, so a later change of a default does not change a saved model.
    Put it on every public operator and on modules that wrap one.

    >>> @recorded
    ... class Scale:
    ...     def __init__(self, factor, *, bias=0.0): ...
    >>> Scale(2.0).constructor_arguments
    {'factor': 2.0, 'bias': 0.0}
    """
    original = cls.__init__
    signature = inspect.signature(original)

    @functools.wraps(original)
    def __init__(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[1:])
        original(self, *args, **kwargs)
        # After the original: nn.Module cannot hold attributes before its own __init__ ran.
        self.constructor_arguments = arguments

    cls.__init__ = __init__
    return cls

"""YAML as settings are written in it: each key once, no aliases, plain values."""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml

from crystalnet.errors import Code, CrystalNetError

MOST = 100_000  # characters, our choice: a profile has a few thousand


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):  # a few of them stand for more than any memory holds
            raise yaml.YAMLError(f"the alias *{self.peek_event().anchor}; write what it stands for")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = Counter(self.construct_object(key, deep=True) for key, _ in node.value)
        if twice := [key for key, count in keys.items() if count > 1]:
            raise yaml.YAMLError(f"{twice[0]!r} stands there twice; keep one")
        return super().construct_mapping(node, deep)


def read_yaml(text: str, name: str) -> Any:
    """What a YAML text says; `name` is for the error.

    Raises:
        CrystalNetError: text that is no such YAML, with its place where the parser knows it.

    >>> read_yaml("model: {width: 32}", "a profile")
    {'model': {'width': 32}}
    """
    try:
        if len(text) > MOST:
            raise ValueError(f"{len(text)} characters, more than {MOST}")
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        cause = " ".join(str(error).split())
        raise CrystalNetError(f"{name} is not valid YAML: {cause}. Correct it.", Code.BAD_SETTING) from None

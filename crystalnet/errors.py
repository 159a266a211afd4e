"""The one error that readers meet: what went wrong, and what to do about it."""


class CrystalNetError(ValueError):
    """Bad input or a broken file; the message names the cause and the remedy.

    Notebooks show the message alone: a reader who fed a wrong file has no use for our internals.
    """

    def _render_traceback_(self) -> list[str]:  # IPython's hook
        return [f"CrystalNetError: {self}"]

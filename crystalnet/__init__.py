"""CrystalNet: crystal structures from powder diffraction, as a research book."""

__version__ = "0.1.0"


def __getattr__(name: str):
    if name == "load":  # on demand, since torch takes seconds to import
        from crystalnet.library import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), "load"])

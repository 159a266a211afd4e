"""CrystalNet: crystal structures from powder diffraction, as a research book."""

__version__ = "0.1.0"


# on demand, since torch takes seconds to import
_LATER = {
    "catalogue": "crystalnet.runs.catalogues",
    "load": "crystalnet.model.library",
    "solve": "crystalnet.solving.solution",
}


def __getattr__(name: str):
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LATER])

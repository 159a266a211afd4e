"""What a door must do with whatever is given to it: read it, or refuse it with one clear error, and soon."""

import time
import warnings

import pytest
from hypothesis import HealthCheck, given, settings

from crystalnet.errors import Code, CrystalNetError

SECONDS = 20  # that any answer may take
FEW, MANY = 12, 120  # inputs of a kind in every test run, and in the long one


def outcome(read, *args, names: str = ""):
    """What `read(*args)` gives, or its error, which says where (`names`), why and what to do."""
    started = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(*args)
    except CrystalNetError as error:
        message = str(error)
        assert isinstance(error.code, Code) and message.endswith(".") and len(message) < 3000, message
        assert names in message and error.__suppress_context__ | (error.__context__ is None), message
        assert len(message.rstrip(".").split(". ")) > 1 or ":" in message, message  # cause and remedy
        return error
    finally:
        assert time.monotonic() - started < SECONDS


def tried(inputs, few: int = FEW, many: int = MANY):
    """A test of some of the inputs, and a long one of many: `test_few, test_many = tried(inputs)(check)`."""

    def tests(check) -> tuple:
        quiet = {"deadline": None, "suppress_health_check": list(HealthCheck)}
        short, long = (settings(max_examples=n, **quiet)(given(given_=inputs)(check)) for n in (few, many))
        return short, pytest.mark.long(long)

    return tests

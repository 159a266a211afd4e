"""The one error that readers meet: what went wrong, what to do about it, and a stable code of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from os import PathLike


class Code(Enum):
    """Kinds of errors. Names and numbers are stable: tables, reports and scripts keep them.

    Attributes:
        status: what the command `crystalnet` ends with.
        cause: what is wrong where an error has this code.
        remedy: what helps.
    """

    # files and patterns
    FILE_MISSING = (10, "There is no such file or folder.", "Correct the path.")
    FILE_UNREADABLE = (
        11,
        "The file cannot be read, is not of the format that its name says, or is cut.",
        "Correct its permissions, or export or fetch it again.",
    )
    UNKNOWN_FORMAT = (
        12,
        "No reader knows this kind of file.",
        "Export the pattern as text with two columns, two_theta in degrees and counts.",
    )
    NOT_A_PATTERN = (
        13,
        "The file holds no usable powder pattern: too few points, no signal, or angles that cannot be.",
        "Look at its columns; two_theta must rise within 0 to 180 degrees.",
    )
    UNKNOWN_UNIT = (
        14,
        "The pattern's horizontal axis is of a quantity or unit that is not two_theta, theta, q, d or s.",
        "Export the pattern over two_theta in degrees, or name the unit in the header of its column.",
    )
    NOT_X_RAYS = (15, "The pattern was measured with neutrons or electrons.", "Give an X-ray pattern.")
    SEVERAL_SCANS = (
        16,
        "The file holds several scans that do not continue each other.",
        "Say which one with scan=.",
    )
    NO_WAVELENGTH = (
        17,
        "Neither the file nor the caller says the wavelength.",
        "Give it in Å, or by a name such as 'CuKa'.",
    )
    BAD_WAVELENGTH = (
        18,
        "The wavelength is no number in Å from 0.1 to 3, and no known name.",
        "Give it in Å, such as 1.5406, or by a name such as 'CuKa'.",
    )
    BAD_PEAKS = (
        19,
        "A list of peaks holds lines or numbers that cannot be.",
        "Give an angle in degrees and an intensity for each peak.",
    )
    # what is known of the sample
    BAD_FORMULA = (
        30,
        "The composition is no formula or list of elements.",
        "Write it as in 'Mg2Si' or ['Mg', 'Si'].",
    )
    UNKNOWN_ELEMENT = (
        31,
        "There are no tables for an element: no form factor, density or volume.",
        "Check the symbol; leave crystals of such elements out.",
    )
    # from pattern to structure
    NO_PEAKS = (
        40,
        "Too few peaks stand out of background and noise.",
        "Measure for longer or over more angles; check that the sample is crystalline.",
    )
    NO_CELL = (
        41,
        "No cell explains the positions of the peaks.",
        "Check the wavelength; look for a second phase; ask for other crystal systems.",
    )
    NO_CANDIDATE = (
        42,
        "No structure could be proposed for this pattern and composition.",
        "Check formula and wavelength, or give a larger catalogue.",
    )
    NO_NETWORK = (
        43,
        "No trained network answers this question.",
        "Use the other sources, or a network that `crystalnet.model.library.available` names.",
    )
    NOT_REFINED = (
        44,
        "A refinement does not converge from the structure that it was given.",
        "Check wavelength and structure, and whether the cell fits the peaks.",
    )
    # structures and densities
    BAD_STRUCTURE = (
        50,
        "The structure cannot be a crystal: no atoms, no volume, atoms too close or isolated.",
        "Correct the structure, or leave it out.",
    )
    DISORDERED = (
        51,
        "A site is partly occupied or shared.",
        "Choose one ordered arrangement first.",
    )
    CONTRADICTION = (
        52,
        "What a file states (formula, volume, space group) differs from what its atoms give.",
        "Correct the file: both numbers are named.",
    )
    NO_SYMMETRY = (
        53,
        "The symmetry of a structure is not in its file, or cannot be found.",
        "Give its operations, or its coordinates to more digits.",
    )
    BAD_DENSITY = (
        54,
        "A density is not finite, of another grid or crystal, or its file is not whole.",
        "Fetch or compute it again.",
    )
    # settings, data sets, networks
    BAD_ARGUMENT = (
        60,
        "An argument is not among the allowed ones, out of its range, or of another shape.",
        "Give one that the message names.",
    )
    BAD_SETTING = (
        61,
        "A setting of a run or its file of params is unknown, cannot be, or contradicts another.",
        "Choose one that the message names; the chapter of settings lists all.",
    )
    BAD_TABLE = (
        62,
        "A table or list lacks columns or rows, or cannot be read.",
        "Give the columns that the message names, as CSV.",
    )
    NOTHING_LEFT = (
        63,
        "No crystal is left: the source, the filters or the split leave nothing.",
        "Read more crystals, or filter less.",
    )
    DAMAGED = (
        64,
        "A file that CrystalNet wrote has changed or is not whole.",
        "Delete it, or take it again: it is made anew.",
    )
    OTHER_SETTINGS = (
        65,
        "A file belongs to other settings than those asked for.",
        "Use its settings, or another folder.",
    )
    DIVERGED = (
        66,
        "Training met a loss that is no number or grows without end.",
        "Lower training.learning_rate, or look at the crystals that the message names.",
    )
    # machines
    NOT_WRITTEN = (
        80,
        "A file or folder could not be written, or is there already.",
        "Free disk space, or choose another folder. What was there before is kept.",
    )
    TOO_LARGE = (81, "The work asks for more memory or disk than is allowed or free.", "Ask for less.")
    NO_DEVICE = (
        82,
        "The accelerator, number of devices or cluster asked for is not there.",
        "Ask for what there is.",
    )
    PROCESS_DIED = (
        83,
        "A process died, often for want of memory.",
        "Run again: it goes on from there; use fewer workers.",
    )
    NO_SERVER = (
        84,
        "A server could not be reached, refused, or answered what is not understood.",
        "Check network and key, and run again: what was fetched is kept.",
    )
    NO_SOFTWARE = (85, "A program that this step needs is not installed.", "Install it as the message says.")

    def __init__(self, status: int, cause: str, remedy: str):
        self.status, self.cause, self.remedy = status, cause, remedy


class CrystalNetError(ValueError):
    """Bad input or a broken file; the message names the cause and the remedy.

    Notebooks show message and code alone: a reader who fed a wrong file has no use for our internals.

    Attributes:
        code: the kind of error, stable over versions.

    >>> error = CrystalNetError("pattern.xy is no file. Correct the path.", Code.FILE_MISSING)
    >>> error.code.name, error.code.remedy
    ('FILE_MISSING', 'Correct the path.')
    """

    def __init__(self, message: str, code: Code):
        super().__init__(message)
        self.code = code

    def __reduce__(self):  # errors travel between processes
        return type(self), (str(self), self.code)

    def _render_traceback_(self) -> list[str]:  # IPython's hook
        return [f"CrystalNetError [{self.code.name}]: {self}"]


@contextmanager
def writing(path: str | PathLike) -> Iterator[None]:
    """Around what writes a file or folder: a full disk, or no permission, is one clear error.

    >>> with writing("no/such/folder/a.txt"):
    ...     open("no/such/folder/a.txt", "w")
    Traceback (most recent call last):
    crystalnet.errors.CrystalNetError: no/such/folder/a.txt could not be written (No such file...
    """
    try:
        yield
    except OSError as error:
        raise CrystalNetError(
            f"{path} could not be written ({error.strerror or error}). Free disk space, or choose another"
            " folder. What was there before is kept.",
            Code.NOT_WRITTEN,
        ) from None

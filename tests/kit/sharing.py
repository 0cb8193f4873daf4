"""How tests are shared between two processes: one unit is never split, and the longest begin first.

A unit is a file, so that its fixtures are made once. Tests of real networks are one unit a folder: the network
of a package is made once, and at most two networks share two cores, one of which only makes blocks.
"""

from pathlib import PurePosixPath

NETWORKS = ("process", "byzantine")
"""Folders of tests with a network of real nodes; those of the first start and stop whole testnets."""

ORDER = (*NETWORKS, "property", "contracts", "unit")
"""Folders whose units begin first; what is short comes last and fills the gap at the end."""

UNMEASURED = (*NETWORKS, "property")
"""Folders that the coverage leaves out: counting lines doubles their time, and unit tests run the same lines."""


def folder_of(nodeid: str) -> str:
    """Return the folder below tests that a test is in; an empty text for a file beside these folders."""
    parts = PurePosixPath(nodeid.split("::")[0]).parts
    return parts[1] if len(parts) > 2 else ""


def unit_of(nodeid: str) -> str:
    """Return the unit of a test: its file, or its folder where that is one of networks."""
    return folder_of(nodeid) if folder_of(nodeid) in NETWORKS else nodeid.split("::")[0]


def rank_of(nodeid: str) -> int:
    """Return the place of a test's folder in ORDER; the others come after it."""
    folder = folder_of(nodeid)
    return ORDER.index(folder) if folder in ORDER else len(ORDER)


def is_measured(nodeid: str) -> bool:
    """Tell whether the coverage counts what a test runs."""
    return folder_of(nodeid) not in UNMEASURED

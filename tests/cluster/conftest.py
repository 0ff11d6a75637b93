"""One cluster for each file of tests: a head, and two nodes with one processor each."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from tests.cluster.local_cluster import LocalCluster, a_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("the optional packages for a cluster are not installed")
    with a_cluster(nodes=2) as started:
        yield started

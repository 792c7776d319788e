"""Model files are read as skops reads them, and what is no plain array is left to numpy."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops import io as skops_io

from mlops_assets.core.artifacts import reading
from mlops_assets.core.artifacts.artifact_checks import open_file
from mlops_assets.core.artifacts.model_digest import model_digest
from mlops_assets.core.artifacts.trusted_types import allowed_types
from mlops_assets.core.artifacts.writing import to_bytes

RECORDS = np.arange(320, dtype=np.uint8).repeat(2)[: 5 * PREDICTOR_RECORD_DTYPE.itemsize]
ARRAYS = {
    "floats": np.array([0.0, -0.0, np.nan, np.inf, 5e-324]),
    "one value": np.array([7]),
    "table": np.arange(12, dtype="<i4").reshape(3, 4),
    "big-endian": np.arange(4, dtype=">f8"),
    "booleans": np.array([[True, False]]),
    "text": np.array(["a", "bcd"]),
    "empty": np.empty((0, 8), dtype=np.uint32),
    "days": np.array(["2024-01-01"], dtype="datetime64[D]"),
    "records with gaps": RECORDS.view(PREDICTOR_RECORD_DTYPE),
}
LEFT_TO_NUMPY = {
    "Fortran's order": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "no dimension": np.array(1.5),
}


def file_of(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    target = io.BytesIO()
    np.lib.format.write_array(target, array, version=version, allow_pickle=True)
    return target.getvalue()


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_has_every_byte_that_numpy_reads_and_can_be_written_to(name):
    data = file_of(ARRAYS[name])
    expected = np.load(io.BytesIO(data))
    found = reading.array_of(data)
    assert found is not None
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()
    assert found.flags.writeable
    assert found.flags.aligned
    assert found.flags.c_contiguous


@pytest.mark.parametrize("name", LEFT_TO_NUMPY)
def test_what_is_seldom_is_left_to_numpy(name):
    assert reading.array_of(file_of(LEFT_TO_NUMPY[name])) is None


GOOD = file_of(np.arange(9))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:7],
        GOOD[:40],
        GOOD[:-1],
        GOOD + b"\0",
        GOOD.replace(b"(9,)", b"(8,)"),
        GOOD.replace(b"(9,)", b"(-9,)"),
        GOOD.replace(b"(9,)", b"9"),
        GOOD.replace(b"'<i8'", b"'|O8'"),
        GOOD.replace(b"False", b"True "),
        file_of(np.array([{}], dtype=object)),
        file_of(np.arange(9), (2, 0)),
    ],
)
def test_what_is_not_an_array_as_the_store_writes_it_is_judged_by_numpy(data):
    assert reading.array_of(data) is None


def test_a_data_type_that_numpy_refuses_is_refused_by_numpys_own_words():
    with pytest.raises(ValueError, match="descr"):
        reading.array_of(GOOD.replace(b"'<i8'", b"'?!8'"))


FAMILIES = {
    "histograms": HistGradientBoostingClassifier(max_iter=3),
    "forest": RandomForestClassifier(3, random_state=0),
    "linear": LogisticRegression(),
    "neighbours": KNeighborsClassifier(),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_model_is_the_one_that_skops_reads(name):
    made = np.random.default_rng(0)
    rows = pd.DataFrame(made.normal(size=(80, 3)), columns=["a", "b", "c"])
    fitted = make_pipeline(StandardScaler(), FAMILIES[name]).fit(rows, rows["a"] > 0)
    data, trusted = to_bytes(fitted), sorted(allowed_types())
    ours, theirs = reading.loads(data, trusted), skops_io.loads(data, trusted=trusted)
    assert ours.predict_proba(rows).tobytes() == theirs.predict_proba(rows).tobytes()
    if name in ("histograms", "forest"):  # numpy loses the bytes between the fields of a node
        written, again = (model_digest(open_file(one).schema) for one in (data, to_bytes(ours)))
        assert written == again


def test_a_type_that_is_not_trusted_is_refused_as_by_skops():
    from skops.io.exceptions import UntrustedTypesFoundException

    fitted = HistGradientBoostingClassifier(max_iter=1).fit([[0.0], [1.0]] * 20, [0, 1] * 20)
    with pytest.raises(UntrustedTypesFoundException, match="TreePredictor"):
        reading.loads(to_bytes(fitted), [])

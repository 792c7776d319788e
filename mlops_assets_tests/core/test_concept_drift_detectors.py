"""ADWIN and Page-Hinkley do what the papers say, and what River does."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mlops_assets.core.concept_drift import Adwin, Aggregate, PageHinkley
from mlops_assets_tests.benchmarks import concept_peer


def _stream(seed: int, n: int = 240) -> np.ndarray:
    r = np.random.default_rng(seed)
    at = n // 3 + 10 * seed
    values = np.where(np.arange(n) < at, r.beta(2, 8, n), r.beta(4, 4, n))
    return r.permutation(values) if seed % 4 == 3 else values


#: Streams of which ADWIN looks at every value.
LOOKED_AT = ("errors 0", "levels 1")


class NaiveAdwin:
    """The published rule, every mean and variance from the values themselves.

    ``buckets`` of each size are kept as lists of values; without a limit every value is a bucket,
    and every cut of the window is tried.
    """

    def __init__(self, delta: float, buckets: int | None) -> None:
        self.delta, self.limit = delta, buckets
        self.kept: list[list[float]] = []

    def update(self, value: float) -> tuple[bool, list[float]]:
        self.kept.append([value])
        size = 1
        while self.limit is not None:
            same = [at for at, bucket in enumerate(self.kept) if len(bucket) == size]
            if len(same) <= self.limit:
                break
            first, second = same[:2]
            self.kept[first : second + 1] = [self.kept[first] + self.kept[second]]
            size *= 2
        changed = False
        while self._cuts():
            del self.kept[0]
            changed = True
        return changed, [value for bucket in self.kept for value in bucket]

    def _cuts(self) -> bool:
        window = np.array([value for bucket in self.kept for value in bucket])
        n = len(window)
        if n < 3:
            return False
        log_of = math.log(2 / (self.delta / math.log(n)))
        for n0 in np.cumsum([len(bucket) for bucket in self.kept])[:-1]:
            m = 1 / (1 / n0 + 1 / (n - n0))
            eps = math.sqrt(2 / m * window.var() * log_of) + 2 / (3 * m) * log_of
            if abs(window[:n0].mean() - window[n0:].mean()) > eps:
                return True
        return False


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("buckets", [5, 2, None])
def test_adwin_is_the_published_rule(seed, buckets):
    naive = NaiveAdwin(0.05, buckets)
    ours = Adwin(0.05, buckets=10**9 if buckets is None else buckets)
    changes = 0
    for at, value in enumerate(_stream(seed, 150 if buckets is None else 240), start=1):
        change = ours.update(value)
        cut, window = naive.update(value)
        assert (change is not None) == cut, at
        assert ours.window.n == len(window)
        assert ours.window.mean == pytest.approx(np.mean(window))
        assert ours.window.variance == pytest.approx(np.var(window))
        if change is not None:
            changes += 1
            assert change.at == at
            assert change.since == at - len(window) + 1
    assert changes > 0 or seed % 4 == 3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mean", [None, 0.2])
def test_page_hinkley_is_the_sum_in_the_paper(seed, mean):
    values = _stream(seed, 400)
    threshold, delta = 3.0, 0.02
    ours = PageHinkley(threshold, delta, mean=mean)
    found, expected, start = [], [], 0
    for at in range(len(values)):
        change = ours.update(values[at])
        if change is not None:
            found.append((at, change.rise, change.since - 1))
        # The definition, from the values since the last change.
        own = values[start : at + 1]
        means = np.cumsum(own) / np.arange(1, len(own) + 1) if mean is None else mean
        told = []
        for sign in (1, -1):
            m = np.cumsum(sign * (own - means) - delta)
            told.append((m[-1] - m.min(), start + int(np.argmin(m)) + 1))
        furthest = max((0, 1), key=lambda way: told[way][0])
        if told[furthest][0] > threshold:
            expected.append((at, furthest == 0, told[furthest][1]))
            start = at + 1
    assert found == expected
    assert found or seed == 3


def test_rivers_detections_are_ours():
    """River's values are golden (``make bench-concept-parity``); it forgets all at a detection."""
    golden = json.loads(concept_peer.GOLDEN.read_text())
    streams = concept_peer.streams()
    compared = 0
    for one in golden["detections"]:
        # Half of the streams, and every value looked at in two: it takes longest.
        every_value = "adwin" in one and one["adwin"]["clock"] == 1
        if one["stream"][-1] in "23" or (every_value and one["stream"] not in LOOKED_AT):
            continue

        def made(one=one):
            if "adwin" in one:
                options = one["adwin"]
                return Adwin(options["delta"], clock=options["clock"], warm_up=concept_peer.GRACE)
            options = one["page_hinkley"]
            return PageHinkley(
                options["threshold"],
                options["delta"],
                fall=False,
                forgetting=options["alpha"],
                warm_up=concept_peer.INSTANCES,
            )

        detector, found = made(), []
        for at, value in enumerate(streams[one["stream"]], start=1):
            if detector.update(value) is not None:
                found.append(at)
                detector = made()
        assert found == one["at"], one
        compared += len(found)
    assert compared > 60


@pytest.mark.parametrize("make", [lambda: Adwin(0.05), lambda: PageHinkley(2.0, 0.02)])
def test_a_detector_continues_where_it_was_stored(make):
    whole, stored = make(), make()
    changes = []
    for value in _stream(0):
        stored = type(stored).from_dict(json.loads(json.dumps(stored.to_dict())))
        told = whole.update(value)
        assert stored.update(value) == told
        changes.append(told)
    assert any(changes)
    assert stored.to_dict() == whole.to_dict()


def test_what_another_detector_has_stored_is_refused():
    with pytest.raises(ValueError, match="lacks 'delta'"):
        Adwin.from_dict({"threshold": 1})
    with pytest.raises(ValueError, match="lacks 'threshold'"):
        PageHinkley.from_dict(Adwin().to_dict())


def test_aggregates_add_up_to_what_their_values_are():
    r = np.random.default_rng(1)
    values = r.normal(1e3, 1, 500)
    parts = [
        Aggregate.of(len(part), float(part.sum()), float((part**2).sum()))
        for part in np.split(values, [10, 11, 300])
    ]
    whole = parts[0] + parts[1] + parts[2] + parts[3]
    assert whole.n == 500
    assert whole.mean == pytest.approx(values.mean())
    assert whole.variance == pytest.approx(values.var(), rel=1e-6)
    with pytest.raises(ValueError, match="at least one value"):
        Aggregate.of(0, 0.0, 0.0)


def test_days_of_values_find_the_day_of_the_change():
    r = np.random.default_rng(2)
    adwin, page_hinkley = Adwin(), PageHinkley(60.0, 0.01)
    found = {}
    for day in range(1, 101):
        values = (r.random(800) < (0.2 if day <= 60 else 0.26)).astype(float)
        item = Aggregate.of(800, values.sum(), values.sum())
        for name, detector in (("adwin", adwin), ("page_hinkley", page_hinkley)):
            change = detector.update(item)
            if change is not None and name not in found:
                found[name] = change
    for change in found.values():
        assert 61 <= change.at <= 64
        # ADWIN says it by whole buckets.
        assert 40 <= change.since <= 62
        assert change.rise
        assert change.before == pytest.approx(0.2, abs=0.01)
    assert len(found) == 2


def test_parameters_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="ADWIN takes"):
        Adwin(delta=0)
    with pytest.raises(ValueError, match="Page-Hinkley takes"):
        PageHinkley(0.0)

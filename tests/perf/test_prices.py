import numpy as np
import pytest

from perf.measurements.prices import fitted, shapes, work
from training.networks.cost import Prices


def test_the_prices_that_made_the_times_are_found() -> None:
    prices, constant = Prices(dense=0.01, depthwise=0.08, values=0.15), 0.5
    done = np.array([work(sizes) for sizes in shapes()])
    taken = done @ (prices.dense, prices.depthwise, prices.values) + constant
    found, offset, modelled = fitted(done, taken)
    assert (found.dense, found.depthwise, found.values, offset) == pytest.approx(
        (prices.dense, prices.depthwise, prices.values, constant)
    )
    assert modelled == pytest.approx(taken)

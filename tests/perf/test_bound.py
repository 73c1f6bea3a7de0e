import gazecrop
import numpy as np

from perf.instruments.photos import jpeg
from perf.instruments.served import InProcess
from perf.measurements.bound import markdown, measure


def test_the_density_is_the_served_one(client: gazecrop.Client) -> None:
    served = client.predict(jpeg(0.5))
    density, size, integrity = InProcess().predict(jpeg(0.5))
    assert size == served.size
    assert np.allclose(density, served.density, atol=1e-6)
    assert served.integrity is not None
    assert np.allclose(integrity, served.integrity, atol=1e-6)


def test_the_bound_of_a_size() -> None:
    bound = measure(0.3, seconds=0.2)
    assert 0 < bound.preprocess < 1000
    assert 0 < bound.network < 1000
    assert bound.rate > 1
    assert "| 0.3 MP |" in markdown([bound])

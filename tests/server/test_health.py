"""The question whether a server predicts reaches all that a prediction needs."""

import json

from server import embedded, health


def test_each_model_of_a_prediction_is_asked(address: embedded.Address) -> None:
    before = answered(address)
    health.predict(address.host, address.http)
    after = answered(address)
    asked = {model for model, count in after.items() if count > before[model]}
    assert asked == {"saliency", "preprocess", "student"}


def answered(address: embedded.Address) -> dict[str, int]:
    """How many requests each model has answered."""
    status, statistics = health.ask(address.host, address.http, "GET", "models/stats")
    assert status == 200
    return {
        model["name"]: model["inference_stats"]["success"]["count"]
        for model in json.loads(statistics)["model_stats"]
    }

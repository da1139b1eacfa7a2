"""Grid, random and Bayesian search for Katib, asked over gRPC as its controller asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest

from tests import ROOT
from tests.unit.helm_values.katib.test_gate import serve
from tests.unit.helm_values.pods import modules

X = {"name": "x", "kind": 1, "min": "-8", "max": "8", "step": "4"}
N = {"name": "n", "kind": 2, "min": "1", "max": "3"}
C = {"name": "c", "kind": 4, "list": ["a", "b"]}


@pytest.fixture(scope="module")
def loaded() -> Iterator[dict[str, Any]]:
    with modules(ROOT / "helm-values/katib", ("messages", "space", "suggest")) as found:
        yield dict(found)


@pytest.fixture(scope="module")
def address(loaded: dict[str, Any]) -> Iterator[str]:
    yield from serve(loaded["suggest"].Service())


def experiment(
    loaded: dict[str, Any], algorithm: str, *parameters: Mapping[str, Any], most: int = 0, **settings: str
) -> Any:
    found = loaded["messages"].of("Experiment")(name="e")
    spec = found.spec
    spec.algorithm.algorithm_name, spec.max_trial_count = algorithm, most
    for name, value in settings.items():
        spec.algorithm.algorithm_settings.add(name=name, value=value)
    spec.objective.type, spec.objective.objective_metric_name = 1, "loss"
    for each in parameters:
        entry = spec.parameter_specs.parameters.add(name=each["name"], parameter_type=each["kind"])
        for key in ("min", "max", "step"):
            setattr(entry.feasible_space, key, each.get(key, ""))
        entry.feasible_space.list.extend(each.get("list", []))
        entry.feasible_space.distribution = each.get("distribution", 0)
    return found


class Asked:
    """A controller: it keeps the trials, asks for the next ones, and reports their loss."""

    def __init__(self, loaded: dict[str, Any], address: str, found: Any) -> None:
        self.messages, self.address, self.experiment = loaded["messages"], address, found
        self.trials: list[Any] = []

    def call(self, name: str, message: Any) -> bytes:
        with grpc.insecure_channel(self.address) as channel:
            path = f"/api.v1.beta1.Suggestion/{name}"
            answer: bytes = channel.unary_unary(path)(message.SerializeToString(), timeout=60)
            return answer

    def validate(self) -> None:
        request = self.messages.of("ValidateAlgorithmSettingsRequest")(experiment=self.experiment)
        assert self.call("ValidateAlgorithmSettings", request) == b""

    def next(self, count: int) -> list[dict[str, str]]:
        request = self.messages.of("GetSuggestionsRequest")(
            experiment=self.experiment,
            trials=self.trials,
            current_request_number=count,
            total_request_number=len(self.trials) + count,
        )
        reply = self.messages.of("GetSuggestionsReply").FromString(self.call("GetSuggestions", request))
        found = [{a.name: a.value for a in each.assignments} for each in reply.parameter_assignments]
        for each in found:
            trial = self.messages.of("Trial")(name=f"t{len(self.trials)}")
            for name, value in each.items():
                trial.spec.parameter_assignments.assignments.add(name=name, value=value)
            trial.status.condition = 1
            self.trials.append(trial)
        return found

    def report(self, *losses: str) -> None:
        for trial, loss in zip(self.trials[-len(losses) :], losses, strict=True):
            trial.status.condition = 2
            trial.status.observation.metrics.add(name="loss", value=loss)


def test_grid_has_each_point_once_whatever_the_size_of_a_request(
    loaded: dict[str, Any], address: str
) -> None:
    asked = Asked(loaded, address, experiment(loaded, "grid", X, N, C, most=30))
    asked.validate()
    found = [each for count in (7, 1, 22) for each in asked.next(count)]
    assert found[:3] == [
        {"x": "-8", "n": "1", "c": "a"},
        {"x": "-8", "n": "1", "c": "b"},
        {"x": "-8", "n": "2", "c": "a"},
    ]
    assert len({tuple(each.items()) for each in found}) == 30
    with pytest.raises(grpc.RpcError, match="the grid has 30 points: write maxTrialCount: 30"):
        asked.next(1)


def test_decimal_steps_have_no_rounding_error(loaded: dict[str, Any], address: str) -> None:
    rate = {"name": "rate", "kind": 1, "min": "0.1", "max": "0.5", "step": "0.1"}
    found = Asked(loaded, address, experiment(loaded, "grid", rate)).next(5)
    assert [each["rate"] for each in found] == ["0.1", "0.2", "0.3", "0.4", "0.5"]


def loss(each: Mapping[str, str]) -> float:
    return (float(each["x"]) - 3) ** 2 + (int(each["n"]) - 2) ** 2 + (each["c"] == "a")


RATE = {"name": "rate", "kind": 1, "min": "0.0001", "max": "1", "distribution": 2}
SIZE = {"name": "size", "kind": 2, "min": "1", "max": "10000", "distribution": 2}


@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_log_uniform_parameter_has_as_many_values_in_each_decade(
    loaded: dict[str, Any], address: str, algorithm: str
) -> None:
    """Of uniform values, nine of ten would be above 0.1."""
    found = experiment(loaded, algorithm, RATE, SIZE, random_state="3", n_startup_trials="1000")
    points = Asked(loaded, address, found).next(200)
    rates, sizes = [float(each["rate"]) for each in points], [int(each["size"]) for each in points]
    assert all(0.0001 <= each <= 1 for each in rates) and all(1 <= each <= 10000 for each in sizes)
    for low, high in ((0.0001, 0.001), (0.001, 0.01), (0.01, 0.1), (0.1, 1.0)):
        assert 25 <= sum(low <= each <= high for each in rates) <= 75, rates
    assert 60 <= sum(each <= 100 for each in sizes) <= 140, sizes


def test_random_search_has_all_values_of_a_space_and_no_others(loaded: dict[str, Any], address: str) -> None:
    free = {"name": "free", "kind": 1, "min": "2", "max": "3"}
    found = experiment(loaded, "random", X, N, C, free, random_state="3")
    asked = Asked(loaded, address, found)
    asked.validate()
    points = asked.next(60)
    assert {each["x"] for each in points} == {"-8", "-4", "0", "4", "8"}
    assert {each["n"] for each in points} == {"1", "2", "3"}
    assert {each["c"] for each in points} == {"a", "b"}
    assert all(2 <= float(each["free"]) <= 3 for each in points)
    assert asked.next(60) != points, "the next request has other points"
    assert Asked(loaded, address, found).next(60) == points, "the seed decides"


@pytest.mark.parametrize("algorithm", ["random", "tpe", "bayesianoptimization", "grid"])
def test_new_service_goes_on_with_trials_of_the_one_before(
    loaded: dict[str, Any], address: str, algorithm: str
) -> None:
    """The pod of a search is replaced when its node goes."""
    asked = Asked(loaded, address, experiment(loaded, algorithm, X, N, C))
    asked.next(4)
    asked.report("1", "2")
    for other in serve(loaded["suggest"].Service()):
        asked.address = other
        assert len(asked.next(2)) == 2


@pytest.mark.parametrize("algorithm", ["bayesianoptimization", "tpe"])
def test_bayesian_search_comes_closer_than_its_random_start(
    loaded: dict[str, Any], address: str, algorithm: str
) -> None:
    space = {**X, "step": ""}
    found = experiment(loaded, algorithm, space, N, C, random_state="7")
    asked, losses = Asked(loaded, address, found), []
    for _ in range(20):
        losses += [loss(each) for each in asked.next(2)]
        asked.report(*map(str, losses[-2:]))
    assert min(losses[10:]) < min(losses[:10]), losses
    assert min(losses) < 1, losses


def test_search_goes_on_with_running_and_failed_trials(loaded: dict[str, Any], address: str) -> None:
    asked = Asked(loaded, address, experiment(loaded, "multivariate-tpe", X, N, C, seed="1"))
    first = asked.next(3)
    asked.report("unavailable")
    second = asked.next(2)
    assert len(second) == 2
    # The same request has the same answer: the seed and the trials decide.
    again = Asked(loaded, address, asked.experiment)
    assert again.next(3) == first


@pytest.mark.parametrize(
    ("algorithm", "parameters", "settings", "reason"),
    [
        ("grid", [{**X, "step": ""}], {}, "x: a grid needs a step"),
        ("grid", [{**X, "step": "0.000001"}], {}, "16000001 values in a grid"),
        ("grid", [X], {"most": 6}, "maxTrialCount is 6, and the grid has 5 points"),
        ("grid", [], {}, "there are no parameters"),
        ("grid", [{**X, "min": "9"}], {}, "x: min 9 is above max 8"),
        ("grid", [{**X, "min": "low"}], {}, "x: min low is not a number"),
        ("grid", [{**X, "min": "NaN"}], {}, "x: min NaN is not a number"),
        ("grid", [{**X, "step": "-1"}], {}, "x: step -1 is not above 0"),
        ("grid", [{**N, "min": "0.5"}], {}, "n: an int has whole numbers"),
        ("grid", [{**C, "list": []}], {}, "c: no values"),
        ("grid", [{**C, "kind": 0}], {}, "c: its type is none of"),
        ("bayesianoptimization", [{**X, "distribution": 2}], {}, "x: logUniform needs a min above 0"),
        ("random", [{**X, "distribution": 3}], {}, "x: distribution: known are uniform and logUniform"),
        ("random", [X], {"sigma": "1"}, "algorithmSettings: sigma: known are"),
        ("bayesianoptimization", [X], {"sigma": "1"}, "algorithmSettings: sigma: known are"),
        ("bayesianoptimization", [X], {"seed": "one"}, "seed: one is not a whole number"),
        ("bayesianoptimization", [X], {"n_startup_trials": "0"}, "n_startup_trials: 0 is less than 1"),
    ],
)
def test_search_that_cannot_start_says_why(
    loaded: dict[str, Any],
    address: str,
    algorithm: str,
    parameters: list[dict[str, Any]],
    settings: dict[str, Any],
    reason: str,
) -> None:
    asked = Asked(loaded, address, experiment(loaded, algorithm, *parameters, **settings))
    with pytest.raises(grpc.RpcError, match=reason) as caught:
        asked.validate()
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_health_is_serving(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=30) == b"\x08\x01"

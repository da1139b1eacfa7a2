"""Search algorithms for Katib: `grid` and `random`, and by Optuna `tpe` and Bayesian search.

The service keeps nothing between two requests: each has all trials so far, so a new pod goes on. Upstream's
goptuna does not: it fails if it has not suggested a trial itself, and it takes logUniform for uniform.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Mapping
from concurrent import futures
from typing import Any

import grpc
import messages
from space import InvalidSpace, Parameter, grid, parameters_of

PORT = 6789
_SERVICE = f"/{messages.PACKAGE}.Suggestion"
SUGGEST, VALIDATE = f"{_SERVICE}/GetSuggestions", f"{_SERVICE}/ValidateAlgorithmSettings"
HEALTH, SERVING = "/grpc.health.v1.Health/Check", b"\x08\x01"
GRID, RANDOM, TPE = "grid", "random", "tpe"  # each other name is Bayesian search
_SETTINGS: Mapping[str, Any] = {
    "random_state": int,
    "seed": int,
    "n_startup_trials": int,
    "n_ei_candidates": int,
}


def settings_of(experiment: Any) -> dict[str, int]:
    """The settings of the algorithm. Raises InvalidSpace."""
    found = {}
    for each in experiment.spec.algorithm.algorithm_settings:
        if each.name not in _SETTINGS:
            raise InvalidSpace(f"algorithmSettings: {each.name}: known are {', '.join(_SETTINGS)}")
        try:
            found[each.name] = _SETTINGS[each.name](each.value)
        except ValueError:
            raise InvalidSpace(
                f"algorithmSettings: {each.name}: {each.value} is not a whole number"
            ) from None
        if each.name.startswith("n_") and found[each.name] < 1:
            raise InvalidSpace(f"algorithmSettings: {each.name}: {each.value} is less than 1")
    return found


def validate(experiment: Any) -> None:
    """Check what the controller asks before the first trial. Raises InvalidSpace."""
    settings_of(experiment)
    parameters = parameters_of(experiment)
    if experiment.spec.algorithm.algorithm_name != GRID:
        return
    size = grid(parameters).size
    if experiment.spec.max_trial_count > size:
        raise InvalidSpace(
            f"maxTrialCount is {experiment.spec.max_trial_count}, and the grid has {size} points: "
            f"write maxTrialCount: {size}, or smaller steps"
        )


def suggestions(request: Any) -> list[dict[str, str]]:
    """The parameters of the next trials. Raises InvalidSpace."""
    experiment, count = request.experiment, request.current_request_number
    parameters = parameters_of(experiment)
    algorithm, settings = experiment.spec.algorithm.algorithm_name, settings_of(experiment)
    if algorithm == GRID:
        return grid(parameters).points(request.total_request_number - count, count)
    if algorithm == RANDOM:
        source = random.Random(_seed(settings, request))  # noqa: S311 - a search, not a secret
        return [{each.name: each.sample(source) for each in parameters} for _ in range(count)]
    return _optuna(request, parameters, settings, count, multivariate=algorithm != TPE)


def _seed(settings: Mapping[str, int], request: Any) -> int | None:
    """The seed of this request: with the same one, each request would begin with the same points."""
    seed = settings.get("seed", settings.get("random_state"))
    return None if seed is None else seed + int(request.total_request_number)


def _optuna(
    request: Any, parameters: list[Parameter], settings: Mapping[str, int], count: int, *, multivariate: bool
) -> list[dict[str, str]]:
    import optuna  # 1 s, and `grid` and `random` do not need it

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    more = {key: settings[key] for key in ("n_startup_trials", "n_ei_candidates") if key in settings}
    sampler = optuna.samplers.TPESampler(
        multivariate=multivariate,
        constant_liar=True,  # trials that still run repel the next ones
        seed=_seed(settings, request),
        **more,
    )
    objective = request.experiment.spec.objective
    direction = "maximize" if objective.type == messages.MAXIMIZE else "minimize"
    study = optuna.create_study(sampler=sampler, direction=direction)
    for each in request.trials:
        if (known := _known(each, parameters, objective.objective_metric_name)) is not None:
            study.add_trial(known)
    found = []
    for _ in range(count):
        asked = study.ask({each.name: each.distribution() for each in parameters})
        found.append({each.name: each.text(asked.params[each.name]) for each in parameters})
    return found


def _known(trial: Any, parameters: list[Parameter], metric: str) -> Any:
    """A trial of Katib as one of Optuna: with its value, or running; None if it failed."""
    import optuna

    values = {each.name: each.value for each in trial.spec.parameter_assignments.assignments}
    known = {each.name: each.read(values[each.name]) for each in parameters if each.name in values}
    if len(known) != len(parameters):
        return None
    result = next((m.value for m in trial.status.observation.metrics if m.name == metric), "")
    more: dict[str, Any] = {"state": optuna.trial.TrialState.RUNNING}
    if trial.status.condition in messages.ENDED:
        try:
            more = {"value": float(result)}
        except ValueError:
            return None
    distributions = {each.name: each.distribution() for each in parameters}
    return optuna.trial.create_trial(params=known, distributions=distributions, **more)


class Service(grpc.GenericRpcHandler):
    """Katib's service `Suggestion`, and the health check of the kubelet."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        answers = {SUGGEST: self._suggest, VALIDATE: self._validate, HEALTH: lambda *_: SERVING}
        answer = answers.get(details.method)
        return grpc.unary_unary_rpc_method_handler(answer) if answer else None

    def _suggest(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        reply = messages.of("GetSuggestionsReply")()
        try:
            found = suggestions(messages.of("GetSuggestionsRequest").FromString(message))
        except InvalidSpace as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        for each in found:
            entry = reply.parameter_assignments.add()
            for name, value in each.items():
                entry.assignments.add(name=name, value=value)
        answer: bytes = reply.SerializeToString()
        return answer

    def _validate(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            validate(messages.of("ValidateAlgorithmSettingsRequest").FromString(message).experiment)
        except InvalidSpace as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return b""


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Service(),))
    server.add_insecure_port(f"[::]:{PORT}")
    server.start()
    # The first process of a container gets no signal that it does not handle: its pod would end after 30 s.
    signal.signal(signal.SIGTERM, lambda *_: server.stop(1))
    server.wait_for_termination()


if __name__ == "__main__":
    main()

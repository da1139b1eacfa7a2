"""The messages of Katib's gRPC API v1beta1 that our programs read or write, and no others.

Their numbers are those of pkg/apis/manager/v1beta1/api.proto in Katib's module. They are made at import,
because a build of an image runs no compiler of protocol buffers. Unknown fields are kept.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "api.v1.beta1"
_SCALARS = {"text": "TYPE_STRING", "int": "TYPE_INT32", "number": "TYPE_DOUBLE", "enum": "TYPE_INT32"}
# A field is a name, a number, and a type; `*` is for a list. An enum is read as its number.
FIELDS = {
    "Metric": "name 1 text, value 2 text",
    "Observation": "metrics 1 *Metric",
    "ObjectiveSpec": "type 1 enum, goal 2 number, objective_metric_name 3 text",
    "AlgorithmSetting": "name 1 text, value 2 text",
    "AlgorithmSpec": "algorithm_name 1 text, algorithm_settings 2 *AlgorithmSetting",
    "FeasibleSpace": "max 1 text, min 2 text, list 3 *text, step 4 text, distribution 5 enum",
    "ParameterSpec": "name 1 text, parameter_type 2 enum, feasible_space 3 FeasibleSpace",
    "ParameterSpecs": "parameters 1 *ParameterSpec",
    "ExperimentSpec": "parameter_specs 1 ParameterSpecs, objective 2 ObjectiveSpec, "
    "algorithm 3 AlgorithmSpec, parallel_trial_count 5 int, max_trial_count 6 int",
    "Experiment": "name 1 text, spec 2 ExperimentSpec",
    "ParameterAssignment": "name 1 text, value 2 text",
    "ParameterAssignments": "assignments 1 *ParameterAssignment",
    "TrialSpec": "objective 2 ObjectiveSpec, parameter_assignments 3 ParameterAssignments",
    "TrialStatus": "condition 3 enum, observation 4 Observation",
    "Trial": "name 1 text, spec 2 TrialSpec, status 3 TrialStatus",
    "ReportObservationLogRequest": "trial_name 1 text",
    "GetSuggestionsRequest": "experiment 1 Experiment, trials 2 *Trial, current_request_number 4 int, "
    "total_request_number 5 int",
    "GetSuggestionsReply": "parameter_assignments 1 *ParameterAssignments",
    "ValidateAlgorithmSettingsRequest": "experiment 1 Experiment",
}
DOUBLE, INT, DISCRETE, CATEGORICAL = 1, 2, 3, 4  # ParameterType
LOG_UNIFORM, NORMAL = 2, (3, 4)  # Distribution; NORMAL has logNormal too
MAXIMIZE = 2  # ObjectiveType
SUCCEEDED, EARLY_STOPPED = 2, 6  # TrialConditionType
ENDED = (2, 3, 4, 5, 6)


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="katib.proto", package=PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            field, number, kind = text.split()
            label = "LABEL_REPEATED" if kind.startswith("*") else "LABEL_OPTIONAL"
            kind = kind.removeprefix("*")
            scalar = _SCALARS.get(kind)
            entry = message.field.add(name=field, number=int(number))
            entry.label = descriptor_pb2.FieldDescriptorProto.Label.Value(label)
            entry.type = descriptor_pb2.FieldDescriptorProto.Type.Value(scalar or "TYPE_MESSAGE")
            if not scalar:
                entry.type_name = f".{PACKAGE}.{kind}"
    return file


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())


def of(name: str) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))

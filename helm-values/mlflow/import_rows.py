"""The statements of an import (imports.py), for the schema of MLflow 3.17.2."""

from __future__ import annotations

EXPERIMENTS = """
SELECT experiment_id, name, workspace, coalesce(artifact_location, ''),
  (SELECT count(*) FROM runs WHERE runs.experiment_id = experiments.experiment_id)
FROM experiments WHERE workspace IN ('default', %(project)s) ORDER BY workspace = %(project)s, name
"""
MODELS = """
SELECT name, workspace, (SELECT count(*) FROM model_versions v
  WHERE v.workspace = m.workspace AND v.name = m.name AND v.current_stage <> 'Deleted_Internal')
FROM registered_models m WHERE workspace IN ('default', %(project)s) ORDER BY workspace = %(project)s, name
"""
# Where the artifacts of a version are, and the experiments of its run and of its logged model.
VERSIONS = """
SELECT v.name, v.version, ARRAY[v.source, v.storage_location],
  array_remove(ARRAY[runs.experiment_id, logged_models.experiment_id], NULL)
FROM model_versions v
LEFT JOIN runs ON runs.run_uuid = v.run_id
LEFT JOIN logged_models ON v.source = 'models:/' || logged_models.model_id
WHERE v.workspace = 'default' AND v.current_stage <> 'Deleted_Internal'
"""
_PLACES = """
SELECT artifact_uri AS place FROM runs WHERE experiment_id = %(id)s
UNION ALL SELECT artifact_location FROM logged_models WHERE experiment_id = %(id)s
UNION ALL SELECT value FROM trace_tags JOIN trace_info USING (request_id)
  WHERE experiment_id = %(id)s AND key = 'mlflow.artifactLocation'
"""
OUTSIDE = f"SELECT place FROM ({_PLACES}) AS places WHERE NOT starts_with(place, %(below)s)"  # noqa: S608

# Each with the values whose number is that of the rows. Versions, tags and aliases follow their model by
# foreign keys with ON UPDATE CASCADE; a dataset goes with the experiments that use it, if all of them go.
CHANGES: tuple[tuple[str, str], ...] = (
    (
        "ids",
        """
UPDATE experiments SET workspace = %(project)s,
  artifact_location = replace(artifact_location, {old}, %(place)s)
WHERE experiment_id = ANY(%(ids)s) AND workspace = 'default'""",
    ),
    (
        "",
        """
UPDATE runs SET artifact_uri = replace(artifact_uri, {old}, %(place)s) WHERE experiment_id = ANY(%(ids)s)""",
    ),
    (
        "",
        """
UPDATE logged_models SET artifact_location = replace(artifact_location, {old}, %(place)s)
WHERE experiment_id = ANY(%(ids)s)""",
    ),
    (
        "",
        """
UPDATE trace_tags SET value = replace(value, {old}, %(place)s) WHERE key = 'mlflow.artifactLocation'
AND request_id IN (SELECT request_id FROM trace_info WHERE experiment_id = ANY(%(ids)s))""",
    ),
    (
        "names",
        """
UPDATE registered_models SET workspace = %(project)s WHERE name = ANY(%(names)s) AND workspace = 'default'""",
    ),
    (
        "",
        """
UPDATE model_versions SET source = replace(source, {old}, %(place)s),
  storage_location = replace(storage_location, {old}, %(place)s)
WHERE workspace = %(project)s AND name = ANY(%(names)s)""",
    ),
    (
        "",
        """
UPDATE evaluation_datasets d SET workspace = %(project)s WHERE workspace = 'default' AND EXISTS (
  SELECT 1 FROM entity_associations a WHERE a.source_id = d.dataset_id AND a.destination_type = 'experiment'
  AND a.destination_id = ANY(%(ids)s::text[]))
AND NOT EXISTS (
  SELECT 1 FROM entity_associations a WHERE a.source_id = d.dataset_id AND a.destination_type = 'experiment'
  AND NOT a.destination_id = ANY(%(ids)s::text[]))""",
    ),
)
CHANGES = tuple((count, text.format(old="'mlflow-artifacts:/'")) for count, text in CHANGES)

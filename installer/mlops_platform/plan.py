"""The plan of `up`: environment + catalogue -> one visible graph of steps. Read this file first.

    programs ─► images ─► cluster (Terraform ─► node ─► add-ons, images on it)
                                    └► component: namespace ─► accounts ─► jobs ─► release ─► smoke test
                                                                  ▲
                                    smoke test of what it requires ┘
    policies are enforced? ─► every pair of components, once all are there

A component is built only on components whose smoke tests have passed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mlops_platform.adapters.helm import HELM, KUSTOMIZE
from mlops_platform.adapters.programs import builds_at_once
from mlops_platform.adapters.registry import ORAS
from mlops_platform.catalogue.checks import GPUS, IDENTITIES, MATRIX, PROJECTS
from mlops_platform.engine.graph import Graph, Lane, Part, after, chain, parallel
from mlops_platform.plan_images import image_names, in_loading_order
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import Account, ResolvedComponent
from mlops_platform.smoke.canary import PROBE_IMAGE, CanaryTest
from mlops_platform.smoke.component import ComponentTest, component_tests, named_tests
from mlops_platform.smoke.gpus import GpusTest, require_gpus
from mlops_platform.smoke.identities import IdentitiesTest
from mlops_platform.smoke.matrix import MatrixTest
from mlops_platform.smoke.projects import ProjectsTest
from mlops_platform.smoke.verify import Verify
from mlops_platform.steps.access.certificate import MakeCertificate
from mlops_platform.steps.access.clients import MakeClient
from mlops_platform.steps.access.proxy_secrets import CollectProxySecrets
from mlops_platform.steps.accounts.accounts import MakeAccount
from mlops_platform.steps.accounts.managed import GrantAccess
from mlops_platform.steps.build import BuildImage, BuildProgram
from mlops_platform.steps.check import CheckMachine
from mlops_platform.steps.cluster import ApplyAddons, CreateCluster, LoadImage, ReviveCluster
from mlops_platform.steps.jobs.run import RunJob
from mlops_platform.steps.namespace import PrepareNamespace
from mlops_platform.steps.network.platform import ClosePlatformNamespace
from mlops_platform.steps.operators import CheckOperators
from mlops_platform.steps.projects.access import GrantData
from mlops_platform.steps.projects.custom import ApplyProjectObjects, components_with_objects
from mlops_platform.steps.projects.keep import KeepProjects, SyncProjects
from mlops_platform.steps.projects.scripts import components_with_scripts
from mlops_platform.steps.release.bundle import PutBundle
from mlops_platform.steps.release.install import InstallRelease
from mlops_platform.steps.release.objects import ApplyObjects
from mlops_platform.steps.release.webhook_certificate import MakeWebhookCertificate
from mlops_platform.steps.secrets.database import ConfigureDatabaseEngine, engine_of
from mlops_platform.steps.secrets.vault import ConfigureVault


def plan_up(context: Context, only: str = "") -> Graph:
    """The graph of every step that `up` may run; with `only` 'cluster', up to the running cluster."""
    ground = _ground(context)
    built: dict[str, _Built] = {}
    for name, test in component_tests(context).items():
        built[name] = _component(context, test, ground, built)
    verified = [each.verified for each in built.values()]
    graph = Graph.of(
        *(ground.parts),
        *(each.part for each in built.values()),
        *(
            after(ApplyObjects(context, operator), ground.addons, ground.images(operator.object_images))
            for operator in context.present.values()
            if operator.component.objects
        ),
        _network(context, ground, verified),
        *([after(Verify(context, IdentitiesTest(context)), *verified)] if context.store else []),
        _gpus(context, ground),
        _projects(context, ground, built),
        lanes=ground.lanes,
    )
    return graph.up_to(ground.node.last[0]) if only else graph


def plan_smoke(context: Context, names: Collection[str], *, wake_gpus: bool = False) -> Graph:
    """The named smoke tests, those of the named components, or all short ones without a name.

    They keep the graph's order; no earlier result is used. `wake_gpus` may start a node of an empty pool.
    Raises UsageError for a named test that cannot run here.
    """
    if GPUS in names:
        require_gpus(context)
    chosen = set(names) or {MATRIX, IDENTITIES, PROJECTS, GPUS, *context.resolved}
    known = component_tests(context, whole=set(names))
    tests = {n: t for n, t in known.items() if n in chosen and t.resolved.component.smoke}
    verify = {name: Part() for name in context.resolved}
    for name, test in {**tests, **named_tests(context, known, chosen)}.items():
        required = [verify[test.resolved.name], *(verify[each.name] for each in test.required)]
        verify[name] = after(Verify(context, test, always=True), *required)
    last = list(verify.values())
    if MATRIX in chosen:
        last.append(after(Verify(context, MatrixTest(context), always=True), *verify.values()))
    if IDENTITIES in chosen and context.store:
        last.append(after(Verify(context, IdentitiesTest(context), always=True), *verify.values()))
    if PROJECTS in chosen:
        last.append(after(Verify(context, ProjectsTest(context), always=True), *verify.values()))
    if GPUS in chosen and context.cluster.has_gpus:
        last.append(after(Verify(context, GpusTest(context, wake_gpus), always=True), *verify.values()))
    return Graph.of(*last)


@dataclass(frozen=True)
class _Ground:
    """The base of all components: programs, images on the nodes, a running cluster with its add-ons."""

    parts: tuple[Part, ...]
    node: Part
    addons: Part
    programs: Mapping[str, Part]
    loaded: Mapping[str, Part]
    lanes: Mapping[str, Lane]

    def renderers(self, resolved: ResolvedComponent) -> tuple[Part, ...]:
        """The steps that build the programs which render a release."""
        tools = (HELM, KUSTOMIZE) if resolved.kustomized else (HELM,)
        return tuple(self.programs[tool.name] for tool in tools)

    def images(self, names: Iterable[str]) -> Part:
        """The steps that load these images onto the nodes. Other images come from registries."""
        return parallel(*(self.loaded[name] for name in names if name in self.loaded))


@dataclass(frozen=True)
class _Built:
    """A component's steps, the step that its dependents wait for, and the step that lets Vault rotate."""

    part: Part
    verified: Part
    rotation: Part


def _ground(context: Context) -> _Ground:
    cluster, check = context.cluster, chain(CheckMachine(context))
    names = image_names(context)
    kustomized = any(each.kustomized for each in context.resolved.values())
    tools = [HELM, *([KUSTOMIZE] if kustomized else []), *([ORAS] if cluster.registry else [])]
    wanted = [*cluster.programs, *tools, *(p for name in names for p in context.images.programs(name))]
    programs = {p.name: after(BuildProgram(context, p), check) for p in wanted}
    images: dict[str, Part] = {}
    for name in names:
        made_of = [programs[p.name] for p in context.images.programs(name)]
        base = context.images.base(name)
        images[name] = after(BuildImage(context, name), *made_of, images[base] if base else check)
    needed = [*(programs[p.name] for p in cluster.programs), *(images[name] for name in cluster.images)]
    node = chain(after(CreateCluster(context), check, *needed), ReviveCluster(context))
    pusher = [programs[ORAS.name]] if cluster.registry else []
    loaded = {
        name: after(LoadImage(context, name), images[name], node, *pusher)
        for name in in_loading_order(context)
    }
    added = after(ApplyAddons(context), node, *(loaded[name] for name in cluster.images))
    addons = chain(added, CheckOperators(context))
    parts = (check, *programs.values(), *images.values(), node, *loaded.values(), addons)
    return _Ground(parts, node, addons, programs, loaded, _lanes(programs, loaded))


def _lanes(programs: Mapping[str, Part], loaded: Mapping[str, Part]) -> dict[str, Lane]:
    """Limits on builds and on unpacking: if all run at once, the one that is needed first comes last."""
    widths = ((Lane("building", builds_at_once()), programs), (Lane("loading"), loaded))
    return {step.id: lane for lane, parts in widths for part in parts.values() for step in part.steps}


def _component(context: Context, test: ComponentTest, ground: _Ground, built: Mapping[str, _Built]) -> _Built:
    """The steps of one component in a chain; its accounts run in parallel."""
    resolved = test.resolved
    component, needs = resolved.component, resolved.component.needs
    required = parallel(*(built[name].verified for name in resolved.requires))
    tested = parallel(*(built[each.name].verified for each in test.required))
    vault = [built[resolved.audience].verified] if resolved.audience in resolved.requires else []
    verify = [Verify(context, test)] if component.smoke else []
    steps = chain(
        after(PrepareNamespace(context, resolved), ground.addons, *(vault if needs.secrets else [])),
        parallel(
            *(_account(context, resolved, account, ground, built) for account in resolved.accounts),
            *(GrantAccess(context, grant, resolved.layer) for grant in resolved.grants),
            *([after(MakeClient(context, resolved), required)] if needs.client else []),
            *([after(MakeCertificate(context, resolved), required)] if needs.certificate else []),
            *([MakeWebhookCertificate(context, resolved)] if component.webhook_certificate else []),
            *(
                [after(CollectProxySecrets(context, resolved), required, _late(context))]
                if component.ingress
                else []
            ),
            *([PutBundle(context, resolved)] if resolved.bundle else []),
        ),
        *(
            after(RunJob(context, resolved, job), required, ground.images([job.image]))
            for job in component.jobs
        ),
        after(
            InstallRelease(context, resolved),
            required,
            *ground.renderers(resolved),
            ground.images(resolved.images),
        ),
        *([ApplyObjects(context, resolved)] if component.objects else []),
        *([ConfigureVault(context, resolved)] if component == context.store else []),
        *(after(each, tested, ground.images(s.image for s in test.specs)) for each in verify),
    )
    verified, rotation = Part(last=steps.last), Part()
    if context.store and engine_of(component):
        vault_ready = built[context.store.name].verified
        rotation = after(ConfigureDatabaseEngine(context, resolved), verified, vault_ready)
    return _Built(parallel(steps, rotation), verified, Part(last=rotation.last))


def _late(context: Context) -> Part:
    """The steps that make the proxy secrets of the UIs that are installed after the ingress."""
    late = context.catalog.late_uis(context.resolved)
    return Part(last=tuple(PrepareNamespace(context, context.resolved[n]).id for n in sorted(late)))


def _account(
    context: Context,
    resolved: ResolvedComponent,
    account: Account,
    ground: _Ground,
    built: Mapping[str, _Built],
) -> Part:
    """The step that makes an account: a Job in the component's namespace, after the provider's smoke test."""
    image = context.catalog[account.provider].provides[account.capability].image
    needed = [ground.images([image])]
    if account.provider in built and account.capability not in context.cluster.managed_servers:
        needed.append(built[account.provider].verified)
        needed += [built[account.provider].rotation] if account.rotated else []
    return after(MakeAccount(context, account, resolved.layer), *needed)


def _network(context: Context, ground: _Ground, verified: Iterable[Part]) -> Part:
    """The tests of the network: enforcement early; every pair of components after all are installed."""
    probe = ground.images([PROBE_IMAGE])
    return chain(
        after(ClosePlatformNamespace(context), ground.addons),
        after(Verify(context, CanaryTest(context)), probe),
        after(Verify(context, MatrixTest(context)), *verified),
    )


def _gpus(context: Context, ground: _Ground) -> Part:
    """The test of GPUs, where nodes have some."""
    test = Verify(context, GpusTest(context))
    return after(test, ground.addons, ground.images([PROBE_IMAGE])) if context.cluster.has_gpus else Part()


def _projects(context: Context, ground: _Ground, built: Mapping[str, _Built]) -> Part:
    """Existing projects get what this version makes for projects; then two temporary ones are tested."""
    keep = after(KeepProjects(context), ground.addons)
    parts = [
        after(SyncProjects(context, each), keep, built[each.name].verified)
        for each in components_with_scripts(context)
    ]
    for each in components_with_objects(context):
        ready = built[each.name].verified if each.name in built else Part()
        parts.append(after(ApplyProjectObjects(context, each), keep, ready))
    if data := context.cluster.project_data:
        parts.append(after(GrantData(context, data), keep))
    verified = (each.verified for each in built.values())
    test = Verify(context, ProjectsTest(context))
    return parallel(keep, *parts, after(test, keep, *parts, *verified, ground.images([PROBE_IMAGE])))

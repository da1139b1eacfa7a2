"""Owns the plan: environment + catalogue -> one visible graph of steps. Read this file first.

    programs ─► images ─► cluster (Terraform ─► node ─► add-ons, images on it)
                                    └► component: namespace ─► accounts ─► jobs ─► release ─► smoke
                                                                  ▲
                                          smoke of what it requires ┘
    policies are enforced? ─► who reaches whom, when everybody is there

A component is built only on what has been proven, so `requires` edges lead to the provider's smoke.
"""

from __future__ import annotations

from collections.abc import Iterable

from mlops_platform.adapters.helm import HELM
from mlops_platform.adapters.registry import ORAS
from mlops_platform.catalogue.catalogue import SECRET_STORE, Component
from mlops_platform.catalogue.checks import IDENTITIES, MATRIX
from mlops_platform.engine.graph import Graph, Step
from mlops_platform.run.context import Context
from mlops_platform.steps.access.steps import CollectProxySecrets, MakeCertificate, MakeClient
from mlops_platform.steps.accounts.accounts import Account, accounts_of, rotated
from mlops_platform.steps.accounts.managed import grants_of
from mlops_platform.steps.build import BuildImage, BuildProgram
from mlops_platform.steps.check import CheckMachine
from mlops_platform.steps.cluster import ApplyAddons, CreateCluster, LoadImage, ReviveCluster
from mlops_platform.steps.component import (
    GrantAccess,
    InstallRelease,
    MakeAccount,
    PrepareNamespace,
    PutBundle,
    RunJob,
    SmokeTest,
)
from mlops_platform.steps.network.steps import PROBE_IMAGE, VerifyEnforcement, VerifyMatrix
from mlops_platform.steps.release import bundle as bundled
from mlops_platform.steps.secrets.steps import (
    ConfigureDatabaseEngine,
    ConfigureVault,
    VerifyIdentities,
    engine_of,
)


def plan_up(context: Context, only: str = "") -> Graph:
    """Everything `up` may do, in dependency order.

    `only` 'cluster' ends where the cluster is made and alive: what is put into it comes later.
    """
    steps: list[Step] = [CheckMachine(context), *_building(context), *_cluster(context)]
    if only:
        return Graph.of(_up_to("cluster/node", steps))
    for component in context.components:
        steps += _component(context, component)
    steps += _network(context, [_proof(c) for c in context.components])
    if context.store:
        steps.append(VerifyIdentities(context, tuple(_proof(c) for c in context.components)))
    # Unpacking is half processor, half disk: all at once, the image that is needed first comes last.
    return Graph.of(steps, {step.id: "loading" for step in steps if isinstance(step, LoadImage)})


def _up_to(last: str, steps: list[Step]) -> list[Step]:
    """A step and all it stands on."""
    needed, by_id = [last], {step.id: step for step in steps}
    for id_ in needed:
        needed += [each for each in by_id[id_].requires if each not in needed]
    return [step for step in steps if step.id in needed]


def plan_smoke(context: Context, names: Iterable[str]) -> Graph:
    """Only the probes of the named components, in the graph's order; no earlier proof is recalled."""
    chosen = set(names) or {MATRIX, IDENTITIES, *(c.name for c in context.components)}
    steps: list[Step] = [
        SmokeTest(context, c, tuple(f"{n}/smoke" for n in _needed(context, c) if n in chosen), always=True)
        for c in context.components
        if c.name in chosen and c.smoke
    ]
    last = tuple(step.id for step in steps)
    if MATRIX in chosen:
        steps.append(VerifyMatrix(context, last, always=True))
    if IDENTITIES in chosen and context.store:
        steps.append(VerifyIdentities(context, last, always=True))
    return Graph.of(steps)


def _building(context: Context) -> list[Step]:
    """Programs the cluster and the chosen images are made of, and the images."""
    names = image_names(context)
    programs = {p.name: p for p in context.cluster.programs}
    programs[HELM.name] = HELM
    if context.cluster.registry:
        programs[ORAS.name] = ORAS
    for name in names:
        programs.update({p.name: p for p in context.images.programs(name)})
    steps: list[Step] = [
        BuildProgram(context, program, requires=("check/machine",)) for program in programs.values()
    ]
    for name in names:
        base = context.images.base(name)
        needed = [f"program/{p.name}" for p in context.images.programs(name)]
        steps.append(BuildImage(context, name, (*needed, f"image/{base}" if base else "check/machine")))
    return steps


def image_names(context: Context) -> tuple[str, ...]:
    """Recipes this environment needs, bases before what stands on them."""
    wanted = [*context.cluster.images, *_probe_images(context)]
    for component in context.components:
        wanted += _images_of(context, component)
    found: dict[str, None] = {}
    for name in wanted:
        for each in reversed((name, *context.images.bases(name))):
            found.setdefault(each)
    return tuple(found)


def _probe_images(context: Context) -> list[str]:
    return [PROBE_IMAGE] if context.cluster.takes_images else []


def _images_of(context: Context, component: Component) -> list[str]:
    """Images a component's pods use, directly: its own, its jobs', its probes', its provisioning's."""
    if not context.cluster.takes_images:
        return []
    own: list[str] = []
    if component.embedded and context.in_tree(component):
        own = [bundled.image(context, component), component.embedded.image]
    images = [
        *own,
        *(j.image for j in component.jobs),
        *(s.image for s in component.smoke),
    ]
    images += [p.image for p in component.provides.values() if p.script]
    servers = context.cluster.servers
    there = [a for a in accounts_of(context, component) if a.capability in servers] if servers else []
    images += [context.catalog[a.provider].provides[a.capability].image for a in there]
    return list(dict.fromkeys(images))


def _cluster(context: Context) -> list[Step]:
    before = ["check/machine", *(f"program/{p.name}" for p in context.cluster.programs)]
    before += [f"image/{name}" for name in context.cluster.images]
    steps: list[Step] = [CreateCluster(context, tuple(before)), ReviveCluster(context)]
    used = [
        (len(_needed(context, c)), place, image)
        for c in context.components
        for place, image in enumerate(_images_of(context, c))
    ]
    loaded = [image for *_, image in sorted(used)]  # what waits for nobody first, its own image before tools
    steps += [
        LoadImage(context, name)
        for name in dict.fromkeys([*context.cluster.images, *loaded, *_probe_images(context)])
    ]
    needed = [f"cluster/image-{name}" for name in context.cluster.images]
    steps.append(ApplyAddons(context, ("cluster/node", *needed)))
    return steps


def _component(context: Context, component: Component) -> list[Step]:
    """One component's steps, each after the one before, accounts side by side."""
    name = component.name
    steps: list[Step] = [
        PrepareNamespace(context, component, ("cluster/addons", *_keeper(context, component)))
    ]
    images = tuple(f"cluster/image-{i}" for i in _images_of(context, component))
    accounts: list[Step] = [_account(context, component, a) for a in accounts_of(context, component)]
    accounts += [
        GrantAccess(context, g, component.layer, (steps[0].id,)) for g in grants_of(context, component)
    ]
    steps += accounts
    access = _access(context, component)
    steps += access
    bundle = _bundle(context, component)
    steps += bundle
    made = [step.id for step in (*accounts, *access, *bundle)]
    before = (f"{name}/namespace", *made, *_proven(context, component))
    jobs: list[Step] = []
    for job in component.jobs:
        jobs.append(RunJob(context, component, job, (*before, *images, *(j.id for j in jobs))))
    steps += jobs
    needs = (*before, *images[:1], *(j.id for j in jobs), f"program/{HELM.name}")
    steps.append(InstallRelease(context, component, needs))
    last: tuple[str, ...] = (f"{name}/release",)
    if component == context.store:
        steps.append(ConfigureVault(context, component, last))
        last = (steps[-1].id,)
    if component.smoke:
        steps.append(SmokeTest(context, component, (*last, *images, *_proven(context, component))))
    if context.store and engine_of(component):
        steps.append(ConfigureDatabaseEngine(context, component, (_proof(component), _proof(context.store))))
    return steps


def _network(context: Context, proven: list[str]) -> list[Step]:
    """Whether policies are enforced is known early; who reaches whom, when everybody is there."""
    images = [f"cluster/image-{name}" for name in _probe_images(context)]
    canary = VerifyEnforcement(context, ("cluster/addons", *images))
    return [canary, VerifyMatrix(context, (canary.id, *images, *proven))]


def _bundle(context: Context, component: Component) -> list[Step]:
    chosen = context.environment.components[component.name].bundle
    return (
        [PutBundle(context, component, (f"{component.name}/namespace",))] if chosen and chosen.folder else []
    )


def _access(context: Context, component: Component) -> list[Step]:
    """What a component of the way in has: a client at the issuer, a certificate, the proofs of UIs."""
    name, needs = component.name, component.needs
    steps: list[Step] = []
    if needs.client:
        steps.append(MakeClient(context, component, (f"{name}/namespace", *_proven(context, component))))
    if needs.certificate:
        steps.append(MakeCertificate(context, component, (f"{name}/namespace", *_proven(context, component))))
    if component.ingress:
        steps.append(
            CollectProxySecrets(context, component, (f"{name}/namespace", *_proven(context, component)))
        )
    return steps


def _account(context: Context, component: Component, account: Account) -> MakeAccount:
    """An account is made at a proven provider, in the component's own namespace."""
    provider = context.catalog[account.provider]
    image = provider.provides[account.capability].image
    requires: tuple[str, ...] = (f"{component.name}/namespace",)
    if account.capability not in context.cluster.servers:
        requires += (_proof(provider),)
    if image in image_names(context):  # elsewhere nodes take their images from registries
        requires += (f"cluster/image-{image}",)
    if rotated(context, account):
        requires += (f"{provider.name}/rotation",)
    return MakeAccount(context, account, component.layer, requires)


def _needed(context: Context, component: Component) -> tuple[str, ...]:
    return context.catalog.edges(component.name, context.environment.components)


def _proven(context: Context, component: Component) -> tuple[str, ...]:
    return tuple(_proof(context.catalog[n]) for n in _needed(context, component))


def _keeper(context: Context, component: Component) -> tuple[str, ...]:
    """The proof of whoever keeps the secrets, for a component for which some are made."""
    needed = _needed(context, component) if component.needs.secrets else ()
    return tuple(_proof(context.catalog[n]) for n in context.catalog.providers(SECRET_STORE) if n in needed)


def _proof(component: Component) -> str:
    """The step after which others may stand on a component."""
    return f"{component.name}/smoke" if component.smoke else f"{component.name}/release"

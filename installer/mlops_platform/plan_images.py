"""The images of an environment, in the orders in which they are built and loaded."""

from __future__ import annotations

from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.smoke.canary import PROBE_IMAGE


def image_names(context: Context) -> tuple[str, ...]:
    """The recipes that this environment needs, each after its base."""
    found: dict[str, None] = {}
    for name in (*context.cluster.images, *_probe_images(context), *_component_images(context)):
        for each in reversed((name, *context.images.bases(name))):
            found.setdefault(each)
    return tuple(found)


def in_loading_order(context: Context) -> tuple[str, ...]:
    """The node images in loading order."""
    return tuple(
        dict.fromkeys([*context.cluster.images, *_component_images(context), *_probe_images(context)])
    )


def _component_images(context: Context) -> list[str]:
    """The images of components: first what stands behind a UI, so that people can log in while the operators
    still build; then what depends on few other components. Last is what no step waits for."""
    early = _behind_uis(context)
    used = [
        (later, resolved.name not in early, len(resolved.requires), place, image)
        for resolved in context.resolved.values()
        for later, images in enumerate((_images_of(context, resolved), _images_for_commands(resolved)))
        for place, image in enumerate(images)
        if context.cluster.capabilities.takes_images
    ]
    present = [image for operator in context.present.values() for image in operator.object_images]
    return [*(image for *_, image in sorted(used)), *present]


def _behind_uis(context: Context) -> set[str]:
    """The components with a UI, the ingress, and all that they require."""
    components = {name: resolved.component for name, resolved in context.resolved.items()}
    late = context.catalog.late_uis(components)
    found = [n for n, c in components.items() if c.ingress or any(s.ui for s in c.serves.values())]
    found = [n for n in found if n not in late]
    for name in found:
        found += [needed for needed in context.resolved[name].requires if needed not in found]
    return set(found)


def _probe_images(context: Context) -> list[str]:
    return [PROBE_IMAGE] if context.cluster.capabilities.takes_images else []


def _images_of(context: Context, resolved: ResolvedComponent) -> list[str]:
    """The recipes of a component's pods, Jobs, smoke tests and account scripts."""
    component = resolved.component
    own = [*resolved.images]
    if component.embedded and resolved.in_tree:
        own.append(component.embedded.image)
    tests = (test.image for test in component.smoke if not test.long)
    images = [*own, *(job.image for job in component.jobs), *tests]
    if component.projects and (component.projects.script or component.projects.smoke):
        images.append(component.projects.image)
    images += [provided.image for provided in component.provides.values() if provided.script]
    elsewhere = [a for a in resolved.accounts if a.capability in context.cluster.managed_servers]
    images += [context.catalog[a.provider].provides[a.capability].image for a in elsewhere]
    return list(dict.fromkeys(images))


def _images_for_commands(resolved: ResolvedComponent) -> list[str]:
    """The recipes of long smoke tests, and of Jobs that a person starts."""
    component = resolved.component
    started = [part.image for part in (component.score, component.pipelines) if part]
    return [*(test.image for test in component.smoke if test.long), *started]

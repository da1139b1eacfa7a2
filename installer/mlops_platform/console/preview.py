"""The screen of `plan`: every destroyed object has its own line, in red."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_platform.base.humanize import WIDTH, labelled, plural, shorten, table

if TYPE_CHECKING:
    from mlops_platform.adapters.terraform.changes import Change, Changes
    from mlops_platform.clusters.bill import Bill, Span
    from mlops_platform.engine.engine import StepPlan
    from mlops_platform.report.preview import Preview

TERRAFORM = "cluster/terraform"
_ROOM = WIDTH - 18
_DETAILS = 6  # lines of one object or release; `--output json` has them all
_VERBS = {
    "create": "create",
    "update": "change",
    "replace": "replace",
    "destroy": "destroy",
    "forget": "state rm",
}


def plan(preview: Preview) -> str:
    """The whole screen."""
    lines = [f"{preview.environment} · {preview.where}", ""]
    lines += _cluster(preview)
    lines += _releases(preview)
    lines += _also(preview.planned)
    lines += _unknown(preview.planned)
    lines += data_loss(preview)
    lines += price(preview.bill)
    return "\n".join(lines)


def apart(preview: Preview) -> str:
    """The question before `up`: cluster, data loss, price."""
    head = [f"{preview.environment} · {preview.where}", ""]
    return "\n".join([*head, *_cluster(preview), *data_loss(preview), *price(preview.bill)])


def _cluster(preview: Preview) -> list[str]:
    step = next((p for p in preview.planned if p.step == TERRAFORM), None)
    if preview.unasked:
        return labelled("cluster", f"? unknown: {preview.unasked}")
    if preview.changes is not None:
        return changes(preview.changes)
    if step is None or not step.difference:
        return labelled("cluster", "= unchanged")
    return labelled("cluster", f"+ {step.difference.summary}")


def changes(found: Changes) -> list[str]:
    """Counts, then one entry per object that is changed, destroyed or replaced."""
    if not found.all:
        return labelled("cluster", "= unchanged")
    made, changed, gone = (len(found.of("create")), len(found.of("update")), len(found.destroying))
    replaced = len(found.of("replace"))
    ending = f" ({replaced} of them replaced)" if replaced else ""
    made += replaced
    lines = labelled("cluster", f"+ {plural(made, 'resource')}   ~ {changed}   - {gone}{ending}")
    shown = [c for c in found.all if c.action != "create"]
    for change in sorted(shown, key=lambda c: not c.destroys):
        mark = "✖" if change.destroys else "~"
        lines += labelled("", f"{mark} {_VERBS[change.action]} {change.address}", wrap=False)
        lines += _below(_details(change))
    return lines


def _details(change: Change) -> Sequence[str]:
    return change.details or ([change.reason] if change.reason else [])


def _below(texts: Sequence[str]) -> list[str]:
    lines = [f"{'':18}{shorten(text, _ROOM)}" for text in texts[:_DETAILS]]
    more = len(texts) - _DETAILS
    return lines + ([f"{'':18}… and {more} more"] if more > 0 else [])


def _releases(preview: Preview) -> list[str]:
    """One line for all releases, then the different values."""
    here = [p for p in preview.planned if p.step.endswith("/release")]
    words, below = [], []
    for each in here:
        name = each.step.partition("/")[0]
        title = f"{name} {preview.versions.get(name, '')}".strip()
        if not each.difference:
            continue
        fresh = each.difference.summary == "install"
        words.append(f"+ {title}" if fresh else f"~ {title} ({_why(each)})")
        below += [f"{name}: {line}" for line in each.difference.changes[:_DETAILS]]
    same = sum(1 for p in here if not p.difference and not p.unknown)
    if same:
        words.append(f"= {same} unchanged")
    text = "   ".join(words)
    return (labelled("releases", text) if text else []) + [f"{'':18}{shorten(line, _ROOM)}" for line in below]


def _why(release: StepPlan) -> str:
    assert release.difference
    lines = len(release.difference.changes)
    return f"values: {plural(lines, 'line')}" if lines else release.difference.summary


def _also(planned: Sequence[StepPlan]) -> list[str]:
    """All other changes, grouped by their summary."""
    groups: dict[str, list[str]] = {}
    for each in planned:
        if each.difference and each.step != TERRAFORM and not each.step.endswith("/release"):
            groups.setdefault(each.difference.summary, []).append(each.step)
    lines: list[str] = []
    for summary, steps in groups.items():
        lines += labelled("" if lines else "also", f"{summary}: {', '.join(steps)}")
    return lines


def _unknown(planned: Sequence[StepPlan]) -> list[str]:
    """Steps that cannot be compared yet, grouped by what they wait for."""
    groups: dict[str, list[str]] = {}
    for each in planned:
        if each.unknown:
            groups.setdefault(each.unknown.partition(":")[0], []).append(each.step)
    lines: list[str] = []
    for until, steps in groups.items():
        lines += labelled("" if lines else "unknown", f"{', '.join(steps)}, {until}")
    return lines


def data_loss(preview: Preview) -> list[str]:
    """The data loss; the line is always there, also for none."""
    lost = [f"✖ {loss.where}: {loss.what}" for loss in preview.losses]
    destroying = [(p.step, p.difference) for p in preview.planned if p.difference and p.difference.destroys]
    lost += [f"✖ {step}: {difference.summary}" for step, difference in destroying]
    if not lost:
        return labelled("data loss", "unknown" if preview.unasked else "none")
    if preview.losses:
        lost.append("`up` asks you to type the environment's name, or needs --allow-data-loss")
    lines: list[str] = []
    for each in lost:
        lines += labelled("" if lines else "data loss", each)
    return lines


def price(bill: Bill | None) -> list[str]:
    """The price, and each charge on demand and as spot."""
    if bill is None:
        return []
    paid = bill.paid
    text = f"from {_both(bill, paid.least)}\nto {_both(bill, paid.most)}, every pool at its max"
    if bill.savings >= 0.005:
        text += f"\nspot saves {bill.savings * 100:.0f} % of what it would be"
    for unknown in bill.unknown:
        text += f"\n! price unknown, not in the sum: {unknown}"
    text += f"\ntable of {bill.dated}, on-demand and spot; without {bill.excludes}"
    return [*labelled("price", text), "", _charges(bill)]


def _charges(bill: Bill) -> str:
    """One line per charge; details get their own lines where these would be too long."""
    rows = []
    for each in bill.charges:
        spot = _span(each.spot) if each.spot or not each.on_demand else "-"
        rows.append((each.what, _span(each.on_demand), spot, each.detail + ", spot" * each.by_spot))
    headers = ("", "on demand $/h", "spot $/h")
    wide = table((*headers, ""), rows)
    if max(map(len, wide.splitlines())) <= WIDTH:
        return wide
    return table(
        headers,
        [cells for what, *prices, detail in rows for cells in ((what, *prices), (f"  {detail}", "", ""))],
    )


def _both(bill: Bill, hourly: float) -> str:
    return f"{hourly:,.2f} $/h ({bill.monthly(hourly):,.0f} $/month)"


def _span(span: Span | None) -> str:
    if span is None:
        return "unknown"
    least, most = _money(span.least), _money(span.most)
    return least if least == most else f"{least} to {most}"


def _money(hourly: float) -> str:
    """An amount below a cent is not shown as 0."""
    return "<0.01" if 0 < hourly < 0.005 else f"{hourly:,.2f}"

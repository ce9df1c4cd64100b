"""What is printed: the machine, the medians, and whether the targets hold."""

import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.engine.fetch import RESTORE_FETCH_BYTES, RESTORE_RECORDS
from app.engine.transport import SLICE_RECORDS
from app.main import FETCH_BYTES, MAX_POLL_RECORDS
from tests.bench.benches import LIMIT, STOCK, TIDEMARK, Bench, Sizes

PACKAGES = ("faust-streaming", "aiokafka", "msgspec", "orjson", "cramjam")


@dataclass(frozen=True)
class Target:
    """What a bench must reach. A miss of a required one fails the command; the others are the goals beyond it."""

    bench: str
    what: str
    wanted: float
    required: bool = False


TARGETS = (
    Target("fold-one-cell", "times_stock", 50, required=True),
    Target("restore", "times_stock", 30, required=True),
    Target("fold-one-cell", "of_limit", 0.9),
    Target("fold-one-cell", "times_stock", 120),
    Target("fold-players", "of_limit", 0.35),
    Target("fold-players", "times_stock", 45),
    Target("fold-assessments", "of_limit", 0.35),
    Target("fold-assessments", "times_stock", 45),
    Target("restore", "rate", 400_000),
    Target("restore", "times_stock", 60),
)
SAID = {"times_stock": "x stock Faust", "of_limit": "of the limit", "rate": "per second"}


def machine() -> dict[str, Any]:
    """Versions, cores and model of the processor."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "system": f"{platform.system()} {platform.release()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu(),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def batches() -> dict[str, int]:
    """Batch sizes: the limit fetches as much at a time as Tidemark does."""
    return {
        "records per fetch": MAX_POLL_RECORDS,
        "bytes per fetch and partition": FETCH_BYTES,
        "records per slice": SLICE_RECORDS,
        "restore, records per fetch": RESTORE_RECORDS,
        "restore, bytes per fetch": RESTORE_FETCH_BYTES,
    }


def result(benches: Iterable[Bench], sizes: Sizes) -> dict[str, Any]:
    """All of it, as `--json` prints it."""
    summaries = {bench.name: bench.summary() for bench in benches}
    return {
        "machine": machine(),
        "sizes": asdict(sizes),
        "batches": batches(),
        "benches": summaries,
        "targets": [_judged(target, summaries) for target in TARGETS if target.bench in summaries],
    }


def _judged(target: Target, summaries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    summary = summaries[target.bench]
    reached = summary["rates"][TIDEMARK] if target.what == "rate" else summary[target.what]
    return asdict(target) | {"reached": reached, "holds": reached >= target.wanted}


def missed(whole: dict[str, Any]) -> bool:
    """Whether a required target is missed."""
    return any(target["required"] and not target["holds"] for target in whole["targets"])


def text(whole: dict[str, Any]) -> str:
    """All of it, for people."""
    lines = [", ".join(f"{name} {value}" for name, value in whole["machine"].items())]
    lines.append(", ".join(f"{name} {value:,}" for name, value in whole["batches"].items()))
    lines.append(f"medians of {whole['sizes']['runs']} interleaved runs; events or rows per second\n")
    lines.append(f"{'':16}{LIMIT:>12}{TIDEMARK:>12}{STOCK:>13}{'of limit':>10}{'x stock':>9}   CPU us each")
    for name, summary in whole["benches"].items():
        rates = "".join(f"{summary['rates'][peer]:>{width},.0f}" for peer, width in _COLUMNS)
        cpu = " / ".join(f"{summary['cpu_us'][peer]:.2f}" for peer, _ in _COLUMNS)
        lines.append(f"{name:16}{rates}{summary['of_limit']:>10.2f}{summary['times_stock']:>9.1f}   {cpu}")
    lines.append("")
    lines += _restores(whole["benches"].get("restore"))
    for target in whole["targets"]:
        verdict = "holds" if target["holds"] else "MISSED" if target["required"] else "not reached"
        kind = "required" if target["required"] else "goal"
        wanted, reached = f"{target['wanted']:,g}", f"{target['reached']:,.2f}"
        lines.append(f"{kind:10}{target['bench']:16}{wanted:>8} {SAID[target['what']]:15}{reached:>12}  {verdict}")
    return "\n".join(lines)


_COLUMNS = ((LIMIT, 12), (TIDEMARK, 12), (STOCK, 13))


def _restores(summary: dict[str, Any] | None) -> list[str]:
    if summary is None:
        return []
    ours, stock = summary["runs"][TIDEMARK][-1], summary["runs"][STOCK][-1]
    return [
        "restore, the last run's seconds:",
        f"{ours['seconds']:>8.2f} Tidemark, from the assignment to all partitions live",
        f"{ours['process_seconds']:>8.2f} the same from the start of its process",
        f"{stock['seconds']:>8.2f} stock Faust, from the first row to the last: its rate above",
        f"{stock['whole_seconds']:>8.2f} the same from the assignment to the end of its recovery",
        f"{stock['process_seconds']:>8.2f} the same from the start of its process",
        "",
    ]

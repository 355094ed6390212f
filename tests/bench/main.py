"""The command line of the benchmark, and the order in which things are measured."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import (
    batch,
    crowd,
    dense,
    dispatch,
    first,
    gradbench,
    heavy,
    kinks,
    local,
    losses,
    overload,
    plot,
    predicted,
    probes,
    remote,
    spectra,
    ways,
    workloads,
)
from tests.bench.report import Screen, Section, markdown, screen
from tests.bench.timing import Timing

SECTIONS = (
    *("speed", "operations", "predicted", "preparation", "losses", "kinks", "probes", "spectra", "chain", "first"),
    *("jacobian", "gradbench", "dispatch", "ray", "batch", "hessian", "remote", "crowd", "overload"),
)
_WITH_SERVICE = {"batch", "hessian", "remote"}


def main(folder: Path, arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked for and keeps the results of a whole run in `folder`."""
    options = _parser().parse_args(arguments)
    run = Run(options, screen())
    started = time.perf_counter()
    run.all()
    minutes = (time.perf_counter() - started) / 60
    run.screen.line(f"\nThe run took {minutes:.1f} minutes.")
    whole = not (options.only or options.quick or options.no_ray)
    if whole or options.output:
        _keep(run, Path(options.output or folder), minutes)
    else:
        run.screen.line("Only whole runs are kept; name a folder with --output to keep this one.")
    broken = [floor for section in run.sections for floor in section.floors if not floor.passed]
    for floor in broken:
        run.screen.line(str(floor))
    run.screen.line(f"{len(broken)} floors are broken." if broken else "All floors are kept.")
    return int(bool(broken) and options.strict)


def _keep(run: Run, folder: Path, minutes: float) -> None:
    """Writes RESULTS.md and the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    notes = ["", f"The run took {minutes:.1f} minutes. `make bench BENCH_ARGS=--help` lists the options."]
    if run.timings or run.remote_timings:
        notes += ["", "![times](latency.svg)"]
        plot.draw(run.timings, run.remote_timings, folder / "latency.svg")
    if run.jacobian_timings:
        notes += ["", "![Jacobians](jacobian.svg)"]
        plot.draw_jacobians(run.jacobian_timings, dense.INPUTS, folder / "jacobian.svg")
    if run.round_trips:
        notes += ["", "![Ray](ray.svg)"]
        plot.draw_cluster(run.round_trips, run.efficiency, folder / "ray.svg")
    (folder / "RESULTS.md").write_text(markdown(run.sections, notes))
    run.screen.line(f"Results are in {folder / 'RESULTS.md'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        choices=[*SECTIONS, *workloads.MAKERS],
        help=f"a section ({', '.join(SECTIONS)}) or a workload ({', '.join(workloads.MAKERS)}); may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, for a first look")
    parser.add_argument("--no-ray", action="store_true", help="leave out what needs a Ray cluster")
    parser.add_argument("--strict", action="store_true", help="fail if a floor is broken")
    parser.add_argument("--output", metavar="FOLDER", help="where RESULTS.md and the pictures go")
    return parser


class Run:
    """One run: the sections so far, and the timings to be drawn."""

    def __init__(self, options: argparse.Namespace, screen: Screen) -> None:
        self.screen = screen
        self.sections: list[Section] = []
        self.timings: dict[str, dict[str, Timing]] = {}
        self.remote_timings: dict[int, dict[str, Timing]] = {}
        self.jacobian_timings: dict[int, dict[str, Timing]] = {}
        self.round_trips: dict[str, Timing] = {}
        self.efficiency: dict[int, dict[float, float]] = {}
        self._has_ray = not options.no_ray
        self._share = 0.1 if options.quick else 1.0
        self._wanted = [name for name in SECTIONS if name in options.only]
        self._names = [name for name in workloads.MAKERS if name in options.only] or list(workloads.MAKERS)
        if not self._wanted:
            self._wanted = list(SECTIONS[:4] if options.only else SECTIONS)

    def all(self) -> None:
        """Everything wanted, in order."""
        for name in self._wanted:
            if name not in _WITH_SERVICE:
                self.screen.heading(name)
                getattr(self, f"_{name}")()
        if _WITH_SERVICE & set(self._wanted):
            self._with_service()

    def _speed(self) -> None:
        section, self.timings = local.speed(self._names, 10.0 * self._share, self.screen)
        self.sections.append(section)

    def _operations(self) -> None:
        self.sections.append(local.operations(self._names, self.screen))

    def _predicted(self) -> None:
        self.sections.append(predicted.predictions(self._names, self.screen))

    def _preparation(self) -> None:
        self.sections.append(local.preparation(self._names, 1 if self._share < 1 else 5, self.screen))

    def _losses(self) -> None:
        self.sections.append(losses.against_jax(5.0 * self._share, self.screen))

    def _kinks(self) -> None:
        self.sections.append(kinks.counted(3.0 * self._share, self.screen))

    def _probes(self) -> None:
        self.sections.append(probes.against_products(5.0 * self._share, self.screen))

    def _spectra(self) -> None:
        self.sections.append(spectra.against_products(10.0 * self._share, self.screen))

    def _chain(self) -> None:
        self.sections.append(local.long_chain(1 if self._share < 1 else 5, self.screen))

    def _first(self) -> None:
        repetitions = 1 if self._share < 1 else 3
        self.sections.append(first.calls(repetitions, self.screen))
        self.sections.append(first.new_graphs(repetitions, self.screen))

    def _jacobian(self) -> None:
        section, self.jacobian_timings = dense.sweep(10.0 * self._share, self.screen)
        self.sections.append(section)

    def _gradbench(self) -> None:
        self.sections.append(gradbench.compared(list(gradbench.ROWS), 3.0 * self._share, self.screen))

    def _dispatch(self) -> None:
        self.sections.append(dispatch.hops(self._has_ray, 10.0 * self._share, self.screen))

    def _ray(self) -> None:
        if not self._has_ray:
            return
        from tests.bench import cluster

        section, self.round_trips = cluster.round_trips(15.0 * self._share, self.screen)
        self.sections.append(section)
        section, self.efficiency = cluster.efficiency(2.0 * self._share, self.screen)
        self.sections.append(section)

    def _crowd(self) -> None:
        self.sections.append(crowd.calls(20.0 * self._share, self.screen))
        with crowd.service(processes=1) as address:
            self.sections.append(heavy.beside_heavy_work(address, self._share, self.screen))

    def _overload(self) -> None:
        self.sections.extend(overload.sections(self._share, self.screen))

    def _with_service(self) -> None:
        from gradserve.client import Client
        from gradserve.client.cli.demo_service import DemoService

        service = DemoService(workers=2)
        try:
            if "batch" in self._wanted:
                self.screen.heading("batch")
                with Client() as embedded, Client(service.address) as distant:
                    clients = {"in process": embedded, "remote": distant}
                    self.sections.append(batch.many_points(clients, 5.0 * self._share, self.screen))
            if "hessian" in self._wanted:
                self.screen.heading("hessian")
                self.sections.append(dense.hessian(service.address, 30.0 * self._share, self.screen))
            if "remote" in self._wanted:
                self.screen.heading("remote")
                section, self.remote_timings = remote.round_trip(service.address, 15.0 * self._share, self.screen)
                self.sections.append(section)
                self.sections.append(ways.to_a_service(10.0 * self._share, self.screen))
        finally:
            service.stop()

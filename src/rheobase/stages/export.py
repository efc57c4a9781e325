"""``rheobase export``: the networks of a connectome fit as files for other programs."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xarray as xr

from rheobase.storage import read_dataset, read_json, write_text


def export(folder: Path, output: Path, *, bin: int | None, animal: str | None) -> str:
    """Write GraphML, CSV and NWB of a fit to ``output``; returns what was written.

    Raises ``ValueError`` where the folder holds no fit of this family.
    """
    from rheobase.models.connectome import graphs
    from rheobase.models.connectome.output import network

    arrays = _arrays(folder)
    files = graphs.network_files(arrays)
    if bin is not None:
        units = [str(n) for n in arrays["unit"].values]
        matrix = network(arrays, bin, animal=animal)
        stem = f"network_bin-{bin}" + (f"_{animal}" if animal else "")
        files[f"{stem}.graphml"] = graphs.graphml(matrix, units, {})
        files[f"{stem}_edges.csv"] = graphs.edge_table(matrix, units)
    elif animal is not None:
        raise ValueError(f"--animal {animal} says of whom the network of --bin is; give --bin too")
    output.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(text, output / name)
    with tempfile.TemporaryDirectory(dir=output) as near:
        made = Path(near, "courses.nwb")
        _write_nwb(arrays, folder, made)
        made.replace(output / made.name)
    return f"{len(files) + 1} files in {output}"


def _arrays(folder: Path) -> xr.Dataset:
    run = folder / "run.json"
    family = read_json(run).get("family") if run.is_file() else None
    if family != "connectome":
        found = f"a fit of {family}" if family else "no fit"
        raise ValueError(
            f"{folder} holds {found}; name a folder like "
            "results/DATASET/models/MODEL/fold-0_seed-0 of a connectome"
        )
    return read_dataset(folder / "arrays.nc")


def _write_nwb(arrays: xr.Dataset, folder: Path, path: Path) -> None:
    """Write the courses with the communities of every unit; NWB wants a date, so it is 1970."""
    from hdmf import common
    from pynwb import NWBHDF5IO, NWBFile, TimeSeries

    hdmf: Any = common
    series: Any = TimeSeries
    opened: Any = NWBHDF5IO
    file: Any = NWBFile(
        session_description="components of a dynamic functional connectome; see arrays.nc",
        identifier=str(folder), session_start_time=datetime(1970, 1, 1, tzinfo=UTC),
        notes="The date of the recordings is not known here; 1970-01-01 stands in its place.",
    )  # fmt: skip
    module = file.create_processing_module("connectome", "tensor factorisation of affinities")
    courses: Any = arrays["time_course"].values.T
    module.add(series(
        name="courses", data=courses, unit="a.u.", rate=1 / float(arrays["bin_s"]),
        description="bins of all recordings one after another, a column a component",
    ))  # fmt: skip
    units = [str(n) for n in arrays["unit"].values]
    columns = [hdmf.VectorData(name="unit", description="name", data=units)] + [
        hdmf.VectorData(name=f"community_{n + 1}", description=f"in component {n + 1}, from 1",
                        data=[int(b) + 1 for b in labels])
        for n, labels in enumerate(arrays["community"].values)
    ]  # fmt: skip
    module.add(hdmf.DynamicTable(name="communities", description="of each unit", columns=columns))
    with opened(str(path), "w") as io:
        io.write(file)

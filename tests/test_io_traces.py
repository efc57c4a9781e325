"""Calcium traces from suite2p folders and NWB files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ophys import (
    DfOverF,
    Fluorescence,
    ImageSegmentation,
    OpticalChannel,
    RoiResponseSeries,
)

from rheobase.io.readers import read


def load(path, form, **reader):
    return read(path, reader={"format": form, **reader}, files={}, preprocess={})


def save_plane(folder, rng, *, cells=4, frames=30, neuropil=True, iscell=True):
    folder.mkdir(parents=True)
    signal = rng.normal(size=(cells, frames)).astype(np.float32)
    np.save(folder / "F.npy", signal)
    if neuropil:
        np.save(folder / "Fneu.npy", signal / 2)
    if iscell:
        np.save(
            folder / "iscell.npy", np.column_stack([np.arange(cells) % 2, np.linspace(0, 1, cells)])
        )
    return signal


def test_suite2p_folder_gives_traces_neuropil_and_cells(tmp_path, rng):
    signal = save_plane(tmp_path / "p", rng)
    raw = load(tmp_path / "p", "suite2p")
    np.testing.assert_array_equal(raw.signal, signal.T)
    np.testing.assert_array_equal(raw.extras["neuropil"], signal.T / 2)
    assert raw.extras["is_cell"].tolist() == [False, True, False, True]
    np.testing.assert_allclose(raw.extras["cell_probability"], [0, 1 / 3, 2 / 3, 1])
    assert raw.names == ("roi0", "roi1", "roi2", "roi3")
    assert raw.rate_hz is None


def test_suite2p_planes_stand_side_by_side_in_their_order(tmp_path, rng):
    tenth = save_plane(tmp_path / "plane10", rng, cells=2)
    second = save_plane(tmp_path / "plane2", rng, cells=3)
    raw = load(tmp_path, "suite2p")
    np.testing.assert_array_equal(raw.signal, np.concatenate([second, tenth]).T)
    assert raw.names == (
        "plane2_roi0",
        "plane2_roi1",
        "plane2_roi2",
        "plane10_roi0",
        "plane10_roi1",
    )
    assert raw.unit_labels["plane"].tolist() == [2, 2, 2, 10, 10]
    assert raw.extras["neuropil"].shape == (30, 5)


def test_suite2p_constant_rows_are_kept(tmp_path, rng):
    signal = save_plane(tmp_path / "p", rng)
    signal[1] = 7
    np.save(tmp_path / "p" / "F.npy", signal)
    assert (load(tmp_path / "p", "suite2p").signal[:, 1] == 7).all()


def test_suite2p_without_neuropil_or_cells_is_read(tmp_path, rng):
    save_plane(tmp_path / "p", rng, neuropil=False, iscell=False)
    assert load(tmp_path / "p", "suite2p").extras == {}


def test_suite2p_settings_are_never_unpickled(tmp_path, rng):
    save_plane(tmp_path / "p", rng)
    (tmp_path / "p" / "ops.npy").write_bytes(b"neither numpy nor a safe pickle")
    assert load(tmp_path / "p", "suite2p").signal.shape == (30, 4)


def test_suite2p_neuropil_of_another_shape_is_refused(tmp_path, rng):
    save_plane(tmp_path / "p", rng)
    np.save(tmp_path / "p" / "Fneu.npy", np.zeros((4, 29)))
    with pytest.raises(ValueError, match=r"Fneu.npy has shape \(4, 29\), F.npy \(4, 30\)"):
        load(tmp_path / "p", "suite2p")


def test_suite2p_cells_of_another_number_are_refused(tmp_path, rng):
    save_plane(tmp_path / "p", rng)
    np.save(tmp_path / "p" / "iscell.npy", np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"iscell.npy has shape \(3, 2\), but F.npy has 4 rows"):
        load(tmp_path / "p", "suite2p")


def test_suite2p_planes_of_different_length_are_refused(tmp_path, rng):
    save_plane(tmp_path / "plane0", rng, frames=30)
    save_plane(tmp_path / "plane1", rng, frames=29)
    with pytest.raises(ValueError, match=r"different numbers of frames \(plane0 30, plane1 29\)"):
        load(tmp_path, "suite2p")


def test_suite2p_plane_without_its_companions_is_refused(tmp_path, rng):
    save_plane(tmp_path / "plane0", rng)
    save_plane(tmp_path / "plane1", rng, neuropil=False)
    with pytest.raises(ValueError, match="some planes lack Fneu.npy or iscell.npy"):
        load(tmp_path, "suite2p")


def test_suite2p_plane_without_traces_is_named(tmp_path, rng):
    save_plane(tmp_path / "plane0", rng)
    (tmp_path / "plane1").mkdir()
    with pytest.raises(FileNotFoundError, match=r"plane1/F.npy does not exist"):
        load(tmp_path, "suite2p")


def test_folder_that_is_no_suite2p_output_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds neither F.npy nor plane folders"):
        load(tmp_path, "suite2p")


def test_suite2p_takes_a_folder(tmp_path, rng):
    save_plane(tmp_path / "p", rng)
    with pytest.raises(ValueError, match="F.npy is a file; format suite2p takes the folder"):
        load(tmp_path / "p" / "F.npy", "suite2p")


def test_cut_suite2p_file_is_refused(tmp_path, rng):
    save_plane(tmp_path / "p", rng)
    path = tmp_path / "p" / "F.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match="F.npy is not a readable npy file"):
        load(tmp_path / "p", "suite2p")


def save_nwb(path, *series):
    """Write an imaging file; each series is (container, name, data, keywords) over six regions."""
    file: Any = NWBFile(
        session_description="session",
        identifier="identity",
        session_start_time=datetime(2024, 1, 1, tzinfo=UTC),
    )
    channel = OpticalChannel(name="green", description="GCaMP", emission_lambda=510.0)
    plane = file.create_imaging_plane(
        name="plane",
        optical_channel=channel,
        description="d",
        device=file.create_device(name="scope"),
        excitation_lambda=920.0,
        indicator="GCaMP6f",
        location="V1",
    )
    segmentation: Any = ImageSegmentation()
    table = segmentation.create_plane_segmentation("regions", plane, name="PlaneSegmentation")
    table.add_column(name="cell_name", description="name of the neuron")
    table.add_column(name="depth", description="in um")
    table.add_column(name="iscell", description="flag and probability")
    for i in range(6):
        table.add_roi(
            id=10 + i,
            image_mask=np.ones((2, 2)),
            cell_name=f"N{i}",
            depth=1.5 * i,
            iscell=[float(i % 2), i / 10],
        )
    ophys = file.create_processing_module(name="ophys", description="processed")
    ophys.add(segmentation)
    containers: dict[str, Any] = {}
    for container, name, data, keywords in series:
        rows = keywords.pop("rows", list(range(6)))
        region = table.create_roi_table_region(description="regions", region=rows)
        made = RoiResponseSeries(name=name, data=data, rois=region, unit="a.u.", **keywords)
        if container is None:
            file.add_acquisition(made)
            continue
        if container not in containers:
            kind: Any = {"Fluorescence": Fluorescence, "DfOverF": DfOverF}[container]
            containers[container] = kind()
            ophys.add(containers[container])
        containers[container].add_roi_response_series(made)
    target: Any = NWBHDF5IO(path=path, mode="w")
    with target:
        target.write(container=file)
    return path


@pytest.fixture
def traces(rng):
    return rng.normal(size=(40, 6))


def test_nwb_series_is_read_with_its_rate_and_names(tmp_path, traces):
    raw = load(save_nwb(tmp_path / "a.nwb", ("Fluorescence", "F", traces, {"rate": 7.5})), "nwb")
    np.testing.assert_array_equal(raw.signal, traces)
    assert raw.rate_hz == 7.5
    assert raw.names == ("roi10", "roi11", "roi12", "roi13", "roi14", "roi15")
    assert raw.extras["is_cell"].tolist() == [False, True] * 3
    np.testing.assert_allclose(raw.extras["cell_probability"], np.arange(6) / 10)


def test_nwb_series_in_acquisition_is_found(tmp_path, traces):
    raw = load(save_nwb(tmp_path / "a.nwb", (None, "F", traces, {"rate": 7.5})), "nwb")
    assert raw.signal.shape == (40, 6)


def test_nwb_columns_name_and_label_the_regions(tmp_path, traces):
    path = save_nwb(
        tmp_path / "a.nwb", ("Fluorescence", "F", traces[:, :3], {"rate": 1.0, "rows": [4, 0, 2]})
    )
    raw = load(path, "nwb", names_key="cell_name", unit_keys={"z": "depth"})
    assert raw.names == ("N4", "N0", "N2")
    np.testing.assert_array_equal(raw.unit_labels["z"], [6, 0, 3])
    np.testing.assert_allclose(raw.extras["cell_probability"], [0.4, 0, 0.2])


def test_nwb_key_chooses_a_series(tmp_path, traces):
    path = save_nwb(
        tmp_path / "a.nwb",
        ("Fluorescence", "R", traces, {"rate": 1.0}),
        ("DfOverF", "R", traces / 2, {"rate": 1.0}),
    )
    np.testing.assert_array_equal(load(path, "nwb", key="DfOverF/R").signal, traces / 2)


def test_nwb_with_several_series_needs_a_key(tmp_path, traces):
    path = save_nwb(
        tmp_path / "a.nwb",
        ("Fluorescence", "R", traces, {"rate": 1.0}),
        ("DfOverF", "R", traces / 2, {"rate": 1.0}),
    )
    with pytest.raises(ValueError, match="reader.key must name one; there are .*DfOverF/R"):
        load(path, "nwb")
    with pytest.raises(ValueError, match="reader.key 'R' fits 2 of them"):
        load(path, "nwb", key="R")


def test_nwb_conversion_is_applied(tmp_path, traces):
    path = save_nwb(
        tmp_path / "a.nwb",
        ("Fluorescence", "F", traces, {"rate": 1.0, "conversion": 2.0, "offset": 1.0}),
    )
    np.testing.assert_allclose(load(path, "nwb").signal, 2 * traces + 1)


@pytest.mark.filterwarnings("ignore:.*The second dimension of data does not match:UserWarning")
def test_nwb_stored_region_by_time_is_turned_and_says_so(tmp_path, traces):
    raw = load(save_nwb(tmp_path / "a.nwb", ("Fluorescence", "F", traces.T, {"rate": 1.0})), "nwb")
    np.testing.assert_array_equal(raw.signal, traces)
    assert raw.steps[0]["step"] == "transpose"
    assert raw.notes[0].startswith("F is stored region by time")


@pytest.mark.filterwarnings("ignore:.*The second dimension of data does not match:UserWarning")
def test_nwb_that_fits_its_regions_in_no_way_is_refused(tmp_path, traces):
    path = save_nwb(tmp_path / "a.nwb", ("Fluorescence", "F", traces[:, :4], {"rate": 1.0}))
    with pytest.raises(ValueError, match=r"F has shape \(40, 4\) but names 6 regions"):
        load(path, "nwb")


@pytest.mark.parametrize(("rate", "decimals"), [(4, 12), (30, 2)])
def test_nwb_regular_timestamps_give_the_rate(tmp_path, traces, rng, rate, decimals):
    stamps = np.round(3 + (np.arange(40) + rng.uniform(-0.04, 0.04, 40)) / rate, decimals)
    path = save_nwb(tmp_path / "a.nwb", ("Fluorescence", "F", traces, {"timestamps": stamps}))
    assert load(path, "nwb").rate_hz == pytest.approx(rate, rel=0.02)


def test_nwb_uneven_timestamps_are_brought_onto_an_even_clock(tmp_path):
    stamps = 5 + np.arange(40) / 4
    stamps[20:] += 0.06
    wave = np.outer(stamps, np.arange(1, 7))
    path = save_nwb(tmp_path / "a.nwb", ("Fluorescence", "F", wave, {"timestamps": stamps}))
    raw = load(path, "nwb")
    assert raw.rate_hz == pytest.approx(4)
    np.testing.assert_allclose(raw.signal[:, 0], 5 + np.arange(40) / 4)
    assert raw.steps[0]["step"] == "even clock"
    assert "uneven, by up to 24 % of the median step (limit 10 %)" in raw.notes[0]


def test_nwb_gaps_between_timestamps_hold_nothing(tmp_path, traces):
    stamps = np.arange(40) / 4
    stamps[20:] += 2
    path = save_nwb(tmp_path / "a.nwb", ("Fluorescence", "F", traces, {"timestamps": stamps}))
    raw = load(path, "nwb")
    missing = np.isnan(raw.signal).all(axis=1)
    assert np.flatnonzero(missing).tolist() == list(range(20, 28))
    np.testing.assert_allclose(raw.signal[28:], traces[20:])
    assert "8 frames inside gaps count as bad" in raw.notes[0]


def test_nwb_timestamps_that_fall_are_refused(tmp_path, traces):
    stamps = np.arange(40) / 4
    stamps[20] = 1
    path = save_nwb(tmp_path / "a.nwb", ("Fluorescence", "F", traces, {"timestamps": stamps}))
    with pytest.raises(ValueError, match=r"sample 20: time of F does not increase"):
        load(path, "nwb")


def test_nwb_without_traces_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no RoiResponseSeries"):
        load(save_nwb(tmp_path / "a.nwb"), "nwb")


def test_nwb_unknown_column_lists_those_there(tmp_path, traces):
    path = save_nwb(tmp_path / "a.nwb", ("Fluorescence", "F", traces, {"rate": 1.0}))
    with pytest.raises(ValueError, match="has no region column 'nope'; it has .*cell_name"):
        load(path, "nwb", names_key="nope")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_cut_nwb_file_is_refused(tmp_path, traces, share):
    path = save_nwb(tmp_path / "a.nwb", ("Fluorescence", "F", traces, {"rate": 1.0}))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ValueError, match=r"a\.nwb is not a readable nwb file"):
        load(path, "nwb")


def test_real_plane_keeps_its_dead_rows(shared_data):
    raw = load(shared_data / "suite2p_plane" / "plane0", "suite2p")
    assert raw.signal.shape == raw.extras["neuropil"].shape == (2000, 219)
    assert (raw.signal.std(axis=0) == 0).sum() == 47
    assert raw.extras["is_cell"].dtype == bool
    assert load(shared_data / "suite2p_plane", "suite2p").names == raw.names

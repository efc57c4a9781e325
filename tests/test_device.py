"""Where a fit is run."""

from rheobase import device


def test_a_gpu_is_seen_by_its_driver_or_its_tool(monkeypatch, tmp_path):
    monkeypatch.setattr(device, "DRIVERS", (tmp_path / "nvidia", tmp_path / "kfd"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not device.seen()
    (tmp_path / "kfd").touch()
    assert device.seen()
    (tmp_path / "kfd").unlink()
    tool = tmp_path / "nvidia-smi"
    tool.touch(mode=0o755)
    assert device.seen()

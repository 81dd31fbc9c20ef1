"""What `lab up` writes for its user."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from bayplan.errors import LabError
from bayplan.lab import files
from bayplan.lab.layout import Layout


def test_fleet_file_has_the_shape_that_the_design_gives() -> None:
    lab = Layout("shop", 4)
    fleet = yaml.safe_load(files.fleet(lab, lab.members(2)))
    assert fleet["hosts"]["h2"] == {"address": "ssh://deploy@10.77.4.12", "private_ip": "10.77.4.12", "zone": "b"}
    assert fleet["balancer"] == {"kind": "haproxy", "hosts": ["h1"], "address": "10.77.4.11"}
    assert (fleet["name"], fleet["private_net"]) == ("shop", "10.77.4.0/24")
    assert fleet["registry"] == {"host": "h1"}


def test_ssh_configuration_is_understood_by_ssh_and_checks_host_keys(tmp_path: Path) -> None:
    directory = tmp_path / "a directory with spaces"
    directory.mkdir()
    config = directory / "ssh_config"
    config.write_text(files.ssh_config(Layout("shop", 4).members(2), directory))
    told = subprocess.run(["ssh", "-G", "-F", config, "h2"], capture_output=True, text=True, check=True).stdout
    understood = dict(line.split(" ", 1) for line in told.splitlines() if " " in line)
    assert (understood["hostname"], understood["user"]) == ("10.77.4.12", "deploy")
    assert understood["stricthostkeychecking"] == "true"
    assert understood["identityfile"] == str(directory / "id_ed25519")


def test_a_key_is_made_once(tmp_path: Path) -> None:
    key = files.make_key(tmp_path / "keys/id_ed25519", "test")
    before = key.read_bytes()
    assert files.make_key(key, "test").read_bytes() == before
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_directory_with_files_of_ones_own_is_no_place_for_a_lab(tmp_path: Path) -> None:
    lab = Layout("shop", 4)
    files.check_place(tmp_path / "new")
    (tmp_path / "id_ed25519").write_text("my own key")
    with pytest.raises(LabError, match="id_ed25519 is there"):
        files.check_place(tmp_path)
    (tmp_path / "ssh_config").write_text(files.ssh_config(lab.members(1), tmp_path))
    files.check_place(tmp_path)  # a lab's, which a crash of the machine left
    (tmp_path / "fleet.yaml").write_text("name: mine")
    with pytest.raises(LabError, match=r"fleet\.yaml is there"):
        files.check_place(tmp_path)
    (tmp_path / "fleet.yaml").write_text(files.fleet(lab, lab.members(1)))
    files.check_place(tmp_path)

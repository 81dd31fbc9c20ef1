"""A lab's places follow from its name and number, and two labs never share one."""

from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest

from bayplan.errors import LabError
from bayplan.lab.layout import MOST_HOSTS, MOST_LABS, Layout, check_name


@pytest.mark.parametrize("name", ["lab", "a", "two-labs", "t123-0", "x" * 20])
def test_a_name_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "Lab", "-lab", "0lab", "a/b", "../x", "x" * 21, "lab\n"])
def test_a_name_that_fits_nowhere_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="cannot name a lab"):
        check_name(name)


def test_networks_of_all_labs_are_apart() -> None:
    labs = [Layout(f"lab{index}", index) for index in range(MOST_LABS)]
    nets = [ipaddress.ip_network(net) for lab in labs for net in (lab.private_net, lab.public_net)]
    nets += [ipaddress.ip_network(f"{lab.uplink[0]}/31") for lab in labs]
    assert not any(one.overlaps(other) for one, other in combinations(nets, 2))


def test_hosts_have_addresses_of_their_own_in_their_networks() -> None:
    lab = Layout("lab", 7)
    hosts = lab.members(MOST_HOSTS)
    private, public = ipaddress.ip_network(lab.private_net), ipaddress.ip_network(lab.public_net)
    assert all(ipaddress.ip_address(h.private_ip) in private for h in hosts)
    assert all(ipaddress.ip_address(h.public_ip) in public for h in hosts)
    taken = [h.private_ip for h in hosts] + [h.public_ip for h in hosts]
    assert len({*taken, lab.operator_ip, lab.router_ip, lab.outside_ip}) == 2 * MOST_HOSTS + 3


def test_interface_names_fit_the_kernel() -> None:
    lab = Layout("x" * 20, MOST_LABS - 1)
    names = [lab.operator_link, lab.up_link, f"{lab.members(MOST_HOSTS)[-1].name}-private"]
    assert all(len(name) <= 15 for name in names)


def test_zones_go_round() -> None:
    assert [host.zone for host in Layout("lab", 0).members(5)] == ["a", "b", "c", "a", "b"]

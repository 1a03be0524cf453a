"""Which addresses are public, and that no socket is made for another."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.acquire.address import Address, PrivateAddress, is_public, open_public

NETWORKS = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
NETWORKS_6 = [
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]


def of(networks: list[str]) -> st.SearchStrategy[int]:
    """The numbers of the networks' addresses."""
    parsed = [ipaddress.ip_network(network) for network in networks]
    return st.one_of([st.integers(int(one.network_address), int(one.broadcast_address)) for one in parsed])


V4 = of(NETWORKS).map(ipaddress.IPv4Address)
V6 = of(NETWORKS_6).map(ipaddress.IPv6Address)


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8",
        "1.1.1.1",
        "172.15.255.255",
        "172.32.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "2606:4700:4700::1111",
        "2a00:1450:4001:830::200e",
        "2606:4700:4700::1111%eth0",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_the_internet_is_public(text: str) -> None:
    assert is_public(text)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fe80::1%25eth0",
        "fd00:ec2::254",
        "fec0::1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:10.0.0.1%1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "2001:0:808:808:0:0:80ff:fffe",
        "ff02::1",
    ],
)
def test_what_leads_into_a_network_of_ours_is_not(text: str) -> None:
    assert not is_public(text)


@pytest.mark.parametrize("text", ["", " ", "localhost", "127.1", "0x7f.0.0.1", "1.2.3", "1.2.3.4.5", "8.8.8.8 ", "%"])
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(text)


@given(V4)
def test_no_address_of_a_private_network_is_public_however_it_is_wrapped(inner: ipaddress.IPv4Address) -> None:
    wrapped = [
        ipaddress.IPv6Address(0xFFFF << 32 | int(inner)),
        ipaddress.IPv6Address((0x64FF9B << 96) | int(inner)),
        ipaddress.IPv6Address((0x2002 << 112) | int(inner) << 80),
        ipaddress.IPv6Address((0x20010000 << 96) | 0x08080808 << 64 | (int(inner) ^ 0xFFFFFFFF)),
    ]
    assert not any(is_public(str(one)) for one in (inner, *wrapped))


@given(V6, st.sampled_from(["", "%0", "%eth0"]))
def test_no_address_of_a_private_ipv6_network_is_public(inner: ipaddress.IPv6Address, zone: str) -> None:
    assert not is_public(f"{inner}{zone}")


@given(st.one_of(V4, V6))
def test_a_private_address_is_refused_before_there_is_a_socket(inner: Address) -> None:
    def made(*_: object) -> None:
        raise AssertionError("a socket was made")

    family = socket.AF_INET if inner.version == 4 else socket.AF_INET6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builders.acquire.address.socket.socket", made)
        with pytest.raises(PrivateAddress) as error:
            open_public((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(inner), 80)))
    assert error.value.strerror == f"{inner} is no public address"


def test_a_public_address_gets_its_socket() -> None:
    with open_public((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("8.8.8.8", 80))) as opened:
        assert (opened.family, opened.type) == (socket.AF_INET, socket.SOCK_STREAM)

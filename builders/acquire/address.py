"""Which network addresses a fetch may connect to.

Checked where the socket is made, with the address that it will connect to: whatever URL, redirect or DNS answer led
there, what was checked is what is connected to.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ALSO_PRIVATE = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "3fff::/20", "5f00::/16", "fec0::/10")))
"""What `is_global` of Python 3.11 takes for public: protocol assignments, documentation, SIDs, site-local."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class PrivateAddress(OSError):
    """An address that data may not lead to; `strerror` names it.

    As text they are all the same: of a name's errors that are, aiohttp raises the first, of others none of them.
    """

    def __str__(self) -> str:
        return "no public address"


def is_public(text: str) -> bool:
    """Whether an IP address (IPv6 with or without a zone) is of the public internet, by IANA's registries.

    An IPv6 address that carries an IPv4 one (mapped, 6to4, Teredo, NAT64) is public if that is, too.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(_is_global(one) for one in _carried(address))


def _is_global(one: Address) -> bool:
    usual = one.is_global and not one.is_multicast and not one.is_reserved
    return usual and not any(one in network for network in _ALSO_PRIVATE)


def _carried(address: Address) -> list[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    inner: list[Address] = [address]
    inner += [address.sixtofour] if address.sixtofour else []
    inner += list(address.teredo) if address.teredo else []
    return inner


def open_public(info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
    """A socket for one answer of getaddrinfo, as aiohttp's `socket_factory`. Raises PrivateAddress."""
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise PrivateAddress(errno.EACCES, f"{address[0]} is no public address")
    return socket.socket(family, kind, protocol)

"""Whether URLs are dead, or we are cut off: where nobody answers at all, that is no reason to reject a single one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from yarl import URL

from builders.step import Failed, Rejected

MANY = 20
"""Hosts, of which one at least answers as long as there is a network: of the web's lists, nine in ten do."""
UNANSWERED = frozenset({"no_such_host", "cannot_connect", "timeout", "tls_error"})
"""Rejections that a network which is down brings about as well."""
_UNASKED = frozenset({"bad_url", "private_address", "no_network", "no_name_server", "host_busy"})

T = TypeVar("T")


def unless_cut_off(outcomes: Mapping[str, T | Rejected]) -> dict[str, T | Rejected]:
    """What became of each URL; failed instead of rejected where many hosts were asked and none has answered."""
    silent = {url for url, one in outcomes.items() if isinstance(one, Rejected) and one.reason in UNANSWERED}
    quiet = all(isinstance(one, Rejected) and one.reason in UNANSWERED | _UNASKED for one in outcomes.values())
    if not quiet or len({URL(url.strip()).host for url in silent}) < MANY:
        return dict(outcomes)
    return {
        url: Failed("no_network", f"{one.reason}: {one.detail}; no host of this unit has answered")
        if isinstance(one, Rejected) and url in silent
        else one
        for url, one in outcomes.items()
    }

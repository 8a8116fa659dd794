"""The ports that a hub takes: free, and not the system's to give away while it starts."""

import socket
from pathlib import Path

import pytest

from tools import hub as hubs

GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_port_that_somebody_listens_to_is_passed_over(monkeypatch):
    with socket.socket() as taken:
        port = hubs.free_ports(1)
        taken.bind(("127.0.0.1", port))
        other = hubs.free_ports(1)
        monkeypatch.setattr(hubs, "PORTS", range(port - 3, port + 1))
        with pytest.raises(hubs.Stop, match="no 4 free ports in a row"):
            hubs.free_ports(4)
        monkeypatch.setattr(hubs, "PORTS", [port, other])
        assert hubs.free_ports(1) == other


@pytest.mark.skipif(not GIVEN_AWAY.exists(), reason="another system keeps its range elsewhere")
def test_no_connection_of_another_program_gets_one_of_them():
    first, last = map(int, GIVEN_AWAY.read_text().split())
    assert not set(range(first, last + 1)) & {port + 3 for port in hubs.PORTS}

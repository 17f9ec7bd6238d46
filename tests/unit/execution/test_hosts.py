"""Which hosts a list lets through: names, ports, addresses."""

import ipaddress
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_flow.config import config_schema
from claude_flow.execution.hosts import HostEntry, HostList, admitted, canonical

LABELS = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12).filter(
    lambda text: not text.startswith("-") and not text.endswith("-")
)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "test"]))
PORTS = st.integers(1, 65535)
PATTERN = config_schema().settings["execution.network_hosts"].spec["items"]["pattern"]
ADDRESSES = st.ip_addresses().map(str)


def is_let_through(entry: str, host: str, port: int = 443, *, is_tunnel: bool = True) -> bool:
    return bool(HostList.of([entry]).naming(host, port, is_tunnel=is_tunnel))


@pytest.mark.parametrize(
    ("entry", "host", "is_listed"),
    [
        ("example.org", "example.org", True),
        ("example.org", "EXAMPLE.org.", True),
        ("Example.ORG", "example.org", True),
        ("example.org", "www.example.org", False),
        ("example.org", "example.org.evil.test", False),
        ("example.org", "badexample.org", False),
        ("*.example.org", "www.example.org", True),
        ("*.example.org", "a.b.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "badexample.org", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "3221225985", False),
        ("*.0.2.1", "192.0.2.1", False),
        ("[::1]", "[0:0:0:0:0:0:0:1]", True),
        ("[::1]", "::1", True),
        ("localhost", "127.0.0.1", False),
        ("127.0.0.1", "localhost", False),
    ],
)
def test_a_name_is_listed_as_it_is_or_by_its_domain(
    entry: str, host: str, *, is_listed: bool
) -> None:
    assert is_let_through(entry, host) is is_listed


@pytest.mark.parametrize(
    ("entry", "port", "is_tunnel", "is_listed"),
    [
        ("example.org", 443, True, True),
        ("example.org", 80, True, False),
        ("example.org", 22, True, False),
        ("example.org", 80, False, True),
        ("example.org", 443, False, False),
        ("example.org:8443", 8443, True, True),
        ("example.org:8443", 8443, False, True),
        ("example.org:8443", 443, True, False),
    ],
)
def test_ports_are_the_usual_ones_or_the_one_that_is_named(
    entry: str, port: int, *, is_tunnel: bool, is_listed: bool
) -> None:
    assert is_let_through(entry, "example.org", port, is_tunnel=is_tunnel) is is_listed


@pytest.mark.parametrize(
    ("address", "by_name", "by_domain"),
    [
        ("1.1.1.1", True, True),
        ("2606:4700::1111", True, True),
        ("10.0.0.1", True, False),
        ("192.168.1.1", True, False),
        ("100.64.0.1", True, False),
        ("fd12:3456::1", True, False),
        ("127.0.0.1", False, False),
        ("127.0.1.1", False, False),
        ("::1", False, False),
        ("::ffff:127.0.0.1", False, False),
        ("::ffff:10.0.0.1", True, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("64:ff9b::101:101", True, True),
        ("2002:7f00:1::", False, False),
        ("0.0.0.0", False, False),
        ("0.1.2.3", False, False),
        ("::", False, False),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("fe80::1%eth0", False, False),
        ("224.0.0.1", False, False),
        ("255.255.255.255", False, False),
        ("168.63.129.16", False, False),
        ("100.100.100.200", False, False),
        ("fd00:ec2::254", False, False),
    ],
)
def test_where_a_name_may_lead(address: str, *, by_name: bool, by_domain: bool) -> None:
    assert HostEntry.of("a.example.org").admits(address) is by_name
    assert HostEntry.of("*.example.org").admits(address) is by_domain


@pytest.mark.parametrize("entry", ["localhost", "127.0.0.1", "[::1]", "app.localhost"])
def test_loopback_is_reached_by_whoever_lists_it(entry: str) -> None:
    assert HostEntry.of(entry).admits("127.0.0.1")
    assert not HostEntry.of(entry).admits("169.254.169.254")


def test_of_several_addresses_the_admitted_are_left() -> None:
    entries = [HostEntry.of("*.example.org"), HostEntry.of("a.example.org")]
    found = ["127.0.0.1", "10.0.0.1", "1.1.1.1", "10.0.0.1", "169.254.1.1"]
    assert admitted(entries, found) == ["10.0.0.1", "1.1.1.1"]
    assert admitted(entries[:1], found) == ["1.1.1.1"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "*.", "a b", "http://a.org", "a.org/x", "a..org", ".", "me@a.org", "a.*.org"),
        *("a.org:0", "a.org:65536", "a.org:x", "[::g]", "*.[::1]", "*.192.0.2.1", "::1"),
    ],
)
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host|port"):
        HostEntry.of(text)


@given(entry=NAMES, port=PORTS, host=NAMES, asked=PORTS, is_tunnel=st.booleans())
def test_only_what_is_listed_is_let_through(
    entry: str, port: int, host: str, asked: int, *, is_tunnel: bool
) -> None:
    listed = HostList.of([f"{entry}:{port}"])
    assert listed.naming(entry.upper(), port, is_tunnel=is_tunnel)
    is_same = (canonical(entry), port) == (canonical(host), asked)
    assert bool(listed.naming(host, asked, is_tunnel=is_tunnel)) is is_same


@given(NAMES, LABELS, NAMES)
def test_a_domain_is_what_lies_below_it(domain: str, label: str, host: str) -> None:
    entry = f"*.{domain}"
    assert is_let_through(entry, f"{label}.{domain}")
    assert not is_let_through(entry, domain)
    assert is_let_through(entry, host) is canonical(host).endswith(f".{canonical(domain)}")


@given(NAMES, ADDRESSES)
def test_a_domain_leads_to_public_addresses_only(domain: str, address: str) -> None:
    if HostEntry.of(f"*.{domain}").admits(address):
        found = ipaddress.ip_address(address)
        assert not found.is_link_local
        assert not found.is_loopback
        assert not found.is_private or found.version == 6  # one that wraps an IPv4 address
        assert HostEntry.of(domain).admits(address)


@given(st.from_regex(PATTERN, fullmatch=True, alphabet=st.characters(codec="ascii")))
def test_what_the_schema_takes_is_an_entry(text: str) -> None:
    try:
        HostEntry.of(text)
    except ValueError:
        # What a pattern cannot say: in brackets stands an address, and none is a domain.
        bare = text.removeprefix("*.")
        assert text.startswith("[") or ipaddress.ip_address(bare.partition(":")[0]).version

"""What the service's environment says of the proxy on its way out."""

import pytest

from claude_flow.execution.forwarding import ForwardProxy, ProxyAddress

ADDRESS = "http://proxy.test:3128"
HERE = ProxyAddress("proxy.test", 3128)


def test_what_is_asked_for_says_which_proxy() -> None:
    found = ForwardProxy.of({"https_proxy": ADDRESS, "HTTPS_PROXY": "http://other.test"})
    assert found.towards("example.org", is_tunnel=True) == HERE
    assert found.towards("example.org", is_tunnel=False) is None
    capitals = ForwardProxy.of({"HTTP_PROXY": "proxy.test:3128", "NO_PROXY": "a.org"})
    assert capitals.towards("example.org", is_tunnel=False) == HERE


@pytest.mark.parametrize(
    ("direct", "host", "is_direct"),
    [
        (".corp.test,localhost", "a.corp.test", True),
        ("corp.test", "corp.test", True),
        ("corp.test", "badcorp.test", False),
        ("*", "example.org", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("", "example.org", False),
    ],
)
def test_what_is_reached_without_it(direct: str, host: str, *, is_direct: bool) -> None:
    found = ForwardProxy(tunnel=ADDRESS, direct=direct)
    assert (found.towards(host, is_tunnel=True) is None) is is_direct


def test_it_is_handed_on_whole_and_shows_no_password() -> None:
    found = ForwardProxy.of({"https_proxy": "http://me:word@proxy.test", "no_proxy": "a.org"})
    assert ForwardProxy.from_environment(found.to_environment()) == found
    towards = found.towards("example.org", is_tunnel=True)
    assert towards is not None
    assert (towards.port, towards.authorization) == (80, "Basic bWU6d29yZA==")
    assert "word" not in f"{found!r} {towards!r}"
    assert "bWU6" not in repr(towards)
    assert ForwardProxy.of({}).to_environment() == {}
    assert ForwardProxy.from_environment({}) == ForwardProxy()


@pytest.mark.parametrize("address", ["socks5://proxy.test", "https://proxy.test", "http://:3128"])
def test_another_kind_of_proxy_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        ForwardProxy(tunnel=address).towards("example.org", is_tunnel=True)

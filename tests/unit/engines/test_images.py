"""What an engine tells while images come and go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from tests import virtual_time

from bayplan.engines.images import pushed, unless_busy, what_to_do
from bayplan.errors import EngineError


@pytest.mark.parametrize(
    ("event", "digest"),
    [
        ({"progressDetail": {}, "aux": {"Tag": "1", "Digest": "sha256:ab12", "Size": 9}}, "sha256:ab12"),
        ({"status": "c-1: digest: sha256:ab12 size: 1412"}, "sha256:ab12"),  # all that Docker 29 says
        ({"status": "Layer already exists", "progressDetail": {}, "id": "2afe62cb440e"}, ""),
    ],
)
def test_the_digest_that_a_push_tells(event: dict[str, object], digest: str) -> None:
    assert pushed(event) == digest


def test_a_registry_whose_authority_an_engine_does_not_know_is_to_be_made_known_there() -> None:
    said = 'Get "https://10.0.0.9:5443/v2/": x509: certificate signed by unknown authority'
    assert "/etc/docker/certs.d/10.0.0.9:5443/ca.crt" in what_to_do(said, "10.0.0.9:5443/shop/web:1")
    assert what_to_do(said, "library/web:1") == ""


def test_a_registry_that_has_lost_a_layer_is_to_be_sent_it_again() -> None:
    assert "bayplan up --build makes what is built again" in what_to_do(
        "unknown blob", "localhost:5000/shop/web@sha256:1"
    )


# As Docker 20.10 and containerd say it.
BUSY = [
    "toomanyrequests: slow down",
    'error parsing HTTP 429 response body: unexpected end of JSON input: ""',
    "received unexpected HTTP status: 503 Service Unavailable",
    "failed to copy: unexpected status from PUT request to https://r/v2/x/blobs/uploads/: 429 Too Many Requests",
]


@pytest.mark.parametrize("said", BUSY)
def test_a_registry_that_is_busy_for_a_moment_is_asked_again(said: str) -> None:
    ask, asked = refusing(said, 3)
    assert virtual_time.run(unless_busy(ask)) == "sha256:ab12"
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("said", "times"),
    [
        (BUSY[0], 5),  # at last it is told
        ("toomanyrequests: You have reached your pull rate limit.", 1),
        ("manifest for x:429 not found", 1),
    ],
)
def test_one_that_does_not_come_to_it_is_told(said: str, times: int) -> None:
    ask, asked = refusing(said, 99)
    with pytest.raises(EngineError, match=said):
        virtual_time.run(unless_busy(ask))
    assert len(asked) == times


def refusing(said: str, times: int) -> tuple[Callable[[], Awaitable[str]], list[str]]:
    asked: list[str] = []

    async def ask() -> str:
        asked.append(said)
        if len(asked) <= times:
            raise EngineError(said)
        return "sha256:ab12"

    return ask, asked

"""What an engine tells while images come and go."""

from __future__ import annotations

import pytest

from bayplan.engines.images import pushed


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

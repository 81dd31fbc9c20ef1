"""A copy is checked by what is in it, not by how it was packed."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncGenerator

import pytest

from bayplan.errors import BayplanError
from bayplan.operate.tree_digest import Digest, digested


def packed(*entries: tuple[str, bytes, int]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content, mode in entries:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def digest_of(tar: bytes, pieces: int = 1000) -> str:
    async def source() -> AsyncGenerator[bytes]:
        for start in range(0, len(tar), pieces):
            yield tar[start : start + pieces]

    async def read() -> str:
        digest, told, got = Digest(), [0], b""
        async with digested(source(), told.append, digest) as chunks:
            async for chunk in chunks:
                got += chunk
        assert (got, told[-1]) == (tar, len(tar))
        return digest.value

    return asyncio.run(read())


ONE, TWO = ("./a", b"one", 0o644), ("./b", b"two" * 9999, 0o600)


def test_the_order_and_the_pieces_do_not_matter() -> None:
    assert digest_of(packed(ONE, TWO)) == digest_of(packed(TWO, ONE), pieces=7777)
    assert digest_of(packed(ONE)) == digest_of(packed(("a", b"one", 0o100644)))


def linked(*entries: tuple[str, str]) -> bytes:
    """Names, each with what it is a second name of, or "" for a file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, of in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = (tarfile.LNKTYPE, of) if of else (tarfile.REGTYPE, "")
            info.size = 0 if of else 4
            tar.addfile(info, None if of else io.BytesIO(b"data"))
    return buffer.getvalue()


def test_which_name_of_a_file_was_packed_first_does_not_matter() -> None:
    assert digest_of(linked(("./a", ""), ("./b", "./a"))) == digest_of(linked(("b", ""), ("a", "b")))
    assert digest_of(linked(("a", ""), ("b", "a"))) != digest_of(linked(("a", ""), ("b", "")))
    three = digest_of(linked(("a", ""), ("b", "a"), ("c", "a")))
    assert three == digest_of(linked(("c", ""), ("a", "c"), ("b", "c")))
    assert three != digest_of(linked(("a", ""), ("b", "a"), ("c", "")))


def test_what_was_packed_again_counts_as_it_was_last() -> None:
    assert digest_of(packed(TWO, ("./a", b"old", 0o644), ONE)) == digest_of(packed(ONE, TWO))


def test_a_directory_that_is_in_no_entry_of_its_own_is_beside_what_is_compared() -> None:
    sent, back = io.BytesIO(), io.BytesIO()
    for buffer, names in ((sent, ["deep/er/a"]), (back, ["./", "./deep/", "./deep/er/", "./deep/er/a"])):
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name in names:
                info = tarfile.TarInfo(name)
                info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
                tar.addfile(info)

    async def read(tar: bytes, digest: Digest) -> Digest:
        async def source() -> AsyncGenerator[bytes]:
            yield tar

        async with digested(source(), lambda _: None, digest) as chunks:
            async for _ in chunks:
                pass
        return digest

    first = asyncio.run(read(sent.getvalue(), Digest()))
    assert first.parents == {"deep", "deep/er"}
    assert asyncio.run(read(back.getvalue(), Digest(beside=first.parents))).value == first.value
    assert asyncio.run(read(back.getvalue(), Digest())).value != first.value


@pytest.mark.parametrize("other", [("./a", b"onE", 0o644), ("./a", b"one", 0o600), ("./c", b"one", 0o644)])
def test_a_difference_shows(other: tuple[str, bytes, int]) -> None:
    assert digest_of(packed(ONE, TWO)) != digest_of(packed(other, TWO))


def test_what_is_no_tar_is_told_and_read_to_its_end() -> None:
    with pytest.raises(BayplanError, match="not a whole tar"):
        digest_of(b"no tar at all" * 100_000)


@pytest.mark.parametrize("then", [b"", b"\1" * 100, b'{"message":"input/output error"}\n', b"\1" * 4096], ids=len)
def test_half_a_tar_is_none_though_it_ends_where_an_entry_does(then: bytes) -> None:
    """As when an engine's disk fails: what it says of that comes after what it had sent."""
    with pytest.raises(BayplanError, match="not a whole tar"):
        digest_of(packed(ONE, TWO)[:1024] + then)


@pytest.mark.parametrize("is_read_elsewhere", [False, True])
def test_one_that_is_left_before_its_end_is_let_go_of(is_read_elsewhere: bool) -> None:
    """By a task that writes it on, or at once; half a tar is no error then."""
    closed = []

    async def source() -> AsyncGenerator[bytes]:
        try:
            yield packed(ONE, TWO)[:700]
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    async def leave() -> None:
        async with digested(source(), lambda _: None, Digest()) as chunks:
            await anext(chunks)
            if is_read_elsewhere:
                reading = asyncio.create_task(anext(chunks))
                await asyncio.sleep(0.01)
                reading.cancel()
            raise KeyError("left")

    with pytest.raises(KeyError, match="left"):
        asyncio.run(leave())
    assert closed

"""What is sent to be built, and its tag."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bayplan.errors import ImageError
from bayplan.images.context import INLINE, content_tag, pack
from bayplan.spec.model import Build


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src" / "deep").mkdir(parents=True)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "src" / "a.txt").write_text("a")
    (tmp_path / "src" / "deep" / "b.txt").write_text("b")
    (tmp_path / "link").symlink_to("src/a.txt")
    return tmp_path


def build(root: Path, **more: object) -> Build:
    return Build.model_validate({"context": str(root), **more})


def names(wanted: Build) -> list[str]:
    return [m.name for m in members(wanted)]


def members(wanted: Build) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(wanted).pieces))) as tar:
        return tar.getmembers()


def text(wanted: Build, name: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(wanted).pieces))) as tar:
        file = tar.extractfile(name)
        assert file
        return file.read().decode()


def test_everything_sorted_links_kept_owned_by_root(root: Path) -> None:
    found = members(build(root))
    assert [m.name for m in found] == ["Dockerfile", "link", "src", "src/a.txt", "src/deep", "src/deep/b.txt"]
    assert {(m.uid, m.gid, m.uname, m.gname) for m in found} == {(0, 0, "", "")}
    link = found[1]
    assert (link.issym(), link.linkname) == (True, "src/a.txt")


def test_the_same_context_is_the_same_bytes(root: Path) -> None:
    assert b"".join(pack(build(root)).pieces) == b"".join(pack(build(root)).pieces)


def test_ignored_files_stay_at_home(root: Path) -> None:
    (root / ".dockerignore").write_text("src/deep\nlink\n")
    assert names(build(root)) == [".dockerignore", "Dockerfile", "src", "src/a.txt"]


def test_an_exception_within_an_ignored_directory_brings_its_parents(root: Path) -> None:
    (root / ".dockerignore").write_text("*\n!src/deep/b.txt\n!Dockerfile\n")
    assert names(build(root)) == ["Dockerfile", "src", "src/deep", "src/deep/b.txt"]


def test_a_dockerfile_of_its_own_has_an_ignore_file_of_its_own(root: Path) -> None:
    (root / ".dockerignore").write_text("src\n")
    (root / "web.Dockerfile").write_text("FROM scratch\n")
    (root / "web.Dockerfile.dockerignore").write_text("link\n")
    assert "src/a.txt" in names(build(root, dockerfile="web.Dockerfile"))
    assert "link" not in names(build(root, dockerfile="web.Dockerfile"))
    assert "src/a.txt" not in names(build(root))


def test_an_ignored_dockerfile_is_sent_and_taken_away_by_the_engine(root: Path) -> None:
    (root / ".dockerignore").write_text("Dockerfile\n.dockerignore\nlink\n")
    wanted = build(root)
    assert text(wanted, "Dockerfile") == "FROM scratch\n"
    assert set(text(wanted, ".dockerignore").split()) == {"Dockerfile", ".dockerignore"}
    assert names(wanted).count(".dockerignore") == 1


def test_an_inline_dockerfile_needs_no_file(root: Path) -> None:
    (root / "Dockerfile").unlink()
    wanted = build(root, dockerfile_inline="FROM scratch\nCOPY . .\n")
    assert pack(wanted).dockerfile == INLINE
    assert text(wanted, INLINE) == "FROM scratch\nCOPY . .\n"
    assert INLINE in text(wanted, ".dockerignore").split()


def test_a_dockerfile_outside_of_its_context_is_sent_besides(root: Path) -> None:
    (root / "web").write_text("FROM scratch\nCOPY . .\n")
    (root / "web.dockerignore").write_text("deep\n")
    context = root / "src"
    wanted = build(context, dockerfile="../web")
    assert names(wanted) == ["a.txt", INLINE, ".dockerignore"]
    assert text(wanted, INLINE) == "FROM scratch\nCOPY . .\n"
    assert content_tag(wanted) == content_tag(build(context, dockerfile=str(root / "web")))
    (root / "web").write_text("FROM other\n")
    assert content_tag(wanted) != content_tag(build(context, dockerfile_inline="FROM scratch\nCOPY . .\n"))


def test_a_dockerfile_in_a_folder_by_any_spelling(root: Path) -> None:
    (root / "docker").mkdir()
    (root / "docker" / "web").write_text("FROM scratch\n")
    for spelling in ("docker/web", "./docker/web", str(root / "docker" / "web")):
        assert pack(build(root, dockerfile=spelling)).dockerfile == "docker/web"


def test_times_are_kept_for_the_caches_of_browsers(root: Path) -> None:
    os.utime(root / "src" / "a.txt", (1_700_000_000, 1_700_000_000))
    assert next(m for m in members(build(root)) if m.name == "src/a.txt").mtime == 1_700_000_000


def test_sockets_are_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("a.sock")
        assert "a.sock" not in names(build(root))


def test_a_tag_is_one_that_a_registry_takes(root: Path) -> None:
    tag = content_tag(build(root))
    assert tag.startswith("c-")
    assert len(tag) == 18


def test_the_tag_does_not_depend_on_place_or_time(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    import shutil

    clone = tmp_path_factory.mktemp("clone") / "x"
    shutil.copytree(root, clone, symlinks=True)
    os.utime(clone / "src" / "a.txt", (0, 0))
    assert content_tag(build(clone)) == content_tag(build(root))


Change = Callable[[Path], Build]
CHANGES: dict[str, Change] = {
    "a byte": lambda r: ((r / "src" / "a.txt").write_text("A"), build(r))[1],
    "a name": lambda r: ((r / "src" / "a.txt").rename(r / "src" / "c.txt"), build(r))[1],
    "a mode": lambda r: ((r / "src" / "a.txt").chmod(0o755), build(r))[1],
    "an empty directory": lambda r: ((r / "empty").mkdir(), build(r))[1],
    "where a link leads": lambda r: ((r / "link").unlink(), (r / "link").symlink_to("src"), build(r))[2],
    "the Dockerfile": lambda r: ((r / "Dockerfile").write_text("FROM debian\n"), build(r))[1],
    "an argument": lambda r: build(r, args={"A": "1"}),
    "the target": lambda r: build(r, target="x"),
    "a label": lambda r: build(r, labels={"a": "1"}),
    "an inline Dockerfile": lambda r: build(r, dockerfile_inline="FROM scratch\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_tag_changes_with(change: str, root: Path) -> None:
    before = content_tag(build(root))
    assert content_tag(CHANGES[change](root)) != before


def test_what_is_ignored_does_not_change_the_tag(root: Path) -> None:
    (root / ".dockerignore").write_text("*.log\n")
    before = content_tag(build(root))
    (root / "x.log").write_text("x")
    assert content_tag(build(root)) == before


def test_how_to_build_is_not_what_is_built(root: Path) -> None:
    assert content_tag(build(root, no_cache=True, pull=True)) == content_tag(build(root))


def sent(wanted: Build) -> None:
    """The whole of it."""
    list(pack(wanted).pieces)


@pytest.mark.parametrize("do", [content_tag, sent])
class TestWhatGoesWrong:
    def test_a_context_that_is_gone(self, do: Callable[[Build], object], tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="there is no directory"):
            do(build(tmp_path / "gone"))
        with pytest.raises(ImageError, match="there is no directory"):
            do(build(tmp_path / "gone", dockerfile_inline="FROM scratch"))

    def test_a_dockerfile_that_is_not_there(self, do: Callable[[Build], object], root: Path) -> None:
        with pytest.raises(ImageError, match=r"there is no other\.Dockerfile"):
            do(build(root, dockerfile="other.Dockerfile"))

    def test_a_dockerfile_that_is_a_directory(self, do: Callable[[Build], object], root: Path) -> None:
        with pytest.raises(ImageError, match="cannot be read"):
            do(build(root, dockerfile="src"))

    def test_an_ignore_file_that_is_wrong(self, do: Callable[[Build], object], root: Path) -> None:
        (root / ".dockerignore").write_text("[a\n")
        with pytest.raises(ImageError, match="line 1") as told:
            do(build(root))
        assert told.value.where == str(root / ".dockerignore")

    def test_a_file_that_cannot_be_read(
        self, do: Callable[[Build], object], root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = Path.open

        def refuse(path: Path, *args: object, **more: object) -> object:
            if path.name == "b.txt":  # root reads everything, so a mode of 000 would not do
                raise PermissionError(13, "Permission denied", str(path))
            return opened(path, *args, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(ImageError, match="Permission denied") as told:
            do(build(root))
        assert told.value.where == str(root / "src" / "deep" / "b.txt")
        assert ".dockerignore" in told.value.todo


def test_a_large_file_is_never_whole_in_memory_and_its_tar_is_a_tar(tmp_path: Path) -> None:
    """A context of 400 MB took 880 MB."""
    root = tmp_path / "large"
    root.mkdir()
    (root / "Dockerfile").write_text("FROM scratch\n")
    (root / "data").write_bytes(b"x" * (5 << 20 | 7))
    pieces = [*pack(build(root)).pieces]
    assert max(map(len, pieces)) <= 1 << 20
    assert all(pieces), "an empty piece is the end of what is sent"
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        assert {m.name: m.size for m in tar} == {"Dockerfile": 13, "data": 5 << 20 | 7}


def test_a_file_that_becomes_shorter_on_its_way_is_told(tmp_path: Path) -> None:
    root = tmp_path / "large"
    root.mkdir()
    (root / "Dockerfile").write_text("FROM scratch\n")
    (root / "data").write_bytes(b"x" * (3 << 20))
    left = iter(pack(build(root)).pieces)
    next(piece for piece in left if len(piece) == 1 << 20)
    (root / "data").write_bytes(b"")
    with pytest.raises(ImageError, match="became shorter meanwhile") as told:
        list(left)
    assert told.value.where == str(root / "data")

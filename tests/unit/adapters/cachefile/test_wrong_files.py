"""A cache file that is damaged, or made to harm, is an error, and nothing incomplete becomes visible."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from mlops_platform.adapters.cachefile import opened
from mlops_platform.base.errors import PlatformError, PreflightError, StepError, UsageError

from tests.unit.adapters.cachefile import files
from tests.unit.adapters.cachefile.files import Index, Member

TOOL = "tool-0123456789ab"
CHART = "upstream-v1.0.0-0123456789ab"
ZEROS = "0" * 64


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a cache and its file."""
    folder = tmp_path_factory.mktemp("original")
    files.fill(folder / "cache", folder / "recipes")
    files.export(folder / "cache", folder / "file.tar")
    return folder


@pytest.fixture
def file(tmp_path: Path, original: Path) -> Path:
    """A copy of the file."""
    (tmp_path / "file.tar").write_bytes((original / "file.tar").read_bytes())
    return tmp_path / "file.tar"


def require_complete(cache: Path, original: Path) -> None:
    """Every visible file is equal to that of the original cache; no entry has only a part of its files."""
    found, whole = files.contents(cache), files.contents(original / "cache")
    assert all(whole[name] == file for name, file in found.items())
    for place in ("programs", "charts"):
        for entry in (cache / place).glob("*"):
            relative = entry.relative_to(cache).as_posix()
            assert {n for n in found if n.startswith(relative)} == {
                n for n in whole if n.startswith(relative)
            }


def a_program(index: Index) -> dict[str, object]:
    found: dict[str, object] = index["programs"][TOOL]["tool"]
    return found


def rename(place: str, old: str, new: str) -> Callable[[Index], None]:
    def change(index: Index) -> None:
        index[place][new] = index[place].pop(old)

    return change


def chart_file(name: str) -> Callable[[Index], None]:
    def change(index: Index) -> None:
        chart = index["charts"][CHART]
        chart[name] = chart.pop(".helmignore")

    return change


def set_(key: str, value: object) -> Callable[[Index], None]:
    return lambda index: index.update({key: value})


def first_image(index: Index) -> dict[str, object]:
    found: dict[str, object] = index["images"][min(index["images"])]
    return found


WRONG_INDEXES: dict[str, tuple[Callable[[Index], None], type[PlatformError], str]] = {
    "program-outside": (rename("programs", TOOL, "../../tool"), StepError, "not a name of the cache"),
    "program-absolute": (rename("programs", TOOL, "/etc/tool"), StepError, "not a name of the cache"),
    "program-hidden": (rename("programs", TOOL, ".tool-1"), StepError, "not a name of the cache"),
    "program-folder-itself": (rename("programs", TOOL, ".."), StepError, "not a name of the cache"),
    "program-newline": (rename("programs", TOOL, "tool\n"), StepError, "not a name of the cache"),
    "program-file-outside": (
        lambda index: index["programs"].update({TOOL: {"../tool": a_program(index)}}),
        StepError,
        "not a name of the cache",
    ),
    "program-without-files": (lambda index: index["programs"].update({TOOL: {}}), StepError, "at least 1"),
    "chart-outside": (rename("charts", CHART, "a/../../b"), StepError, "not a name of the cache"),
    "chart-file-outside": (chart_file("a/../../b"), StepError, "not a path inside"),
    "chart-file-absolute": (chart_file("/etc/cron.d/b"), StepError, "not a path inside"),
    "chart-file-is-a-folder": (chart_file("templates"), StepError, "a file and a folder have one name"),
    "chart-file-with-zero-byte": (chart_file("a\0b"), StepError, "not a path inside"),
    "chart-file-without-a-name": (chart_file(""), StepError, "not a path inside"),
    "chart-file-with-a-long-name": (chart_file("a" * 256), StepError, "too long"),
    "two-charts": (rename("archives", "minio-5.4.0-0123456789ab.tgz", CHART), StepError, "two charts"),
    "blob-outside": (rename("blobs", ZEROS, "../x"), StepError, "not a SHA-256"),
    "layer-outside": (
        lambda index: index["layers"].update({"../x": {"blob": ZEROS, "diff": ZEROS}}),
        StepError,
        "not the key of a layer",
    ),
    "image-outside": (
        lambda index: index["images"].update({"../x": first_image(index)}),
        StepError,
        "not the key of an image",
    ),
    "layer-of-no-image": (
        lambda index: index["layers"].update({f"debian-{'0' * 24}": {"blob": ZEROS, "diff": ZEROS}}),
        StepError,
        "a layer of no image",
    ),
    "image-without-its-blobs": (
        lambda index: first_image(index).update(manifest="1" * 64),
        StepError,
        "do not fit together",
    ),
    "blob-of-no-image": (lambda i: i["blobs"].update({"1" * 64: 5}), StepError, "do not fit together"),
    "unknown-key": (set_("more", 1), StepError, "Extra inputs"),
    "missing-key": (lambda index: index.pop("programs"), StepError, "required"),
    "negative-size": (lambda index: a_program(index).update(size=-1), StepError, "greater than"),
    "size-is-text": (lambda index: a_program(index).update(size="1"), StepError, "valid integer"),
    "size-above-that-of-a-tar": (lambda index: a_program(index).update(size=8**11), StepError, "less than"),
    "more-than-the-disk": (
        lambda index: index.update(blobs=dict.fromkeys(index["blobs"], 8**11 - 1)),
        PreflightError,
        "disk: needs",
    ),
    "size-too-large": (lambda index: a_program(index).update(size=200_000_000), StepError, "has the SHA-256"),
    "size-too-small": (lambda index: a_program(index).update(size=100), StepError, "is larger than the 100"),
    "other-digest": (lambda index: a_program(index).update(sha256=ZEROS), StepError, "is in the place of"),
    "other-processor": (set_("architecture", "riscv64"), PreflightError, "linux/riscv64; this machine is"),
    "other-system": (set_("os", "darwin"), PreflightError, "is for darwin/"),
    "newer-format": (set_("format", 2), PreflightError, "has format 2"),
    "no-format": (set_("format", None), StepError, "names no format"),
    "old-format": (set_("format", 0), StepError, "format"),
    "terminal-codes": (set_("go", "\033[2J"), StepError, "not a name or version"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_INDEXES)
def test_wrong_index_is_an_error_and_nothing_is_outside(
    tmp_path: Path, file: Path, original: Path, case: str
) -> None:
    change, kind, words = WRONG_INDEXES[case]
    if case == "blob-outside":
        files.with_index(file, lambda index: index["blobs"].update({ZEROS: 1}))
    files.with_index(file, change)
    before = sorted(path for path in tmp_path.iterdir() if path.name != "second")
    with pytest.raises(kind) as caught:
        files.bring(file, tmp_path / "second")
    error = caught.value
    assert words in f"{error.what}\n{error.why}" and error.hint
    assert "\033" not in f"{error.what}{error.why}"
    assert sorted(path for path in tmp_path.iterdir() if path.name != "second") == before
    require_complete(tmp_path / "second", original)


def _gz(data: bytes, name: str = ZEROS) -> Member:
    return Member(f"files/{name}.gz", gzip.compress(data))


def _first_file(member: Member, kind: bytes, link: str = "", name: str = "") -> Member:
    return Member(name or member.name, b"", kind, link)


WRONG_MEMBERS: dict[str, tuple[Callable[[Member], list[Member]], str]] = {
    "symbolic-link": (lambda m: [_first_file(m, tarfile.SYMTYPE, "/etc/shadow")], "is a symbolic link"),
    "hard-link": (lambda m: [_first_file(m, tarfile.LNKTYPE, "/etc/shadow")], "is a hard link"),
    "device": (lambda m: [_first_file(m, tarfile.BLKTYPE)], "is a device"),
    "character-device": (lambda m: [_first_file(m, tarfile.CHRTYPE)], "is a device"),
    "named-pipe": (lambda m: [_first_file(m, tarfile.FIFOTYPE)], "is a named pipe"),
    "folder": (lambda m: [_first_file(m, tarfile.DIRTYPE)], "is a folder"),
    "absolute-name": (lambda m: [Member("/etc/passwd", m.data)], "is in the place of"),
    "name-outside": (lambda m: [Member("../../etc/passwd", m.data)], "is in the place of"),
    "long-name": (lambda m: [Member("a/" * 90, m.data)], "of another kind"),
    "member-more": (lambda m: [Member("more", b"more"), m], "'more' is in the place of"),
    "member-missing": (lambda m: [], "is in the place of"),
    "not-compressed": (lambda m: [Member(m.name, b"plain")], "cannot be unpacked"),
    "compressed-early-end": (lambda m: [Member(m.name, m.data[:-20])], "ends early"),
    "more-after-the-compressed": (lambda m: [Member(m.name, m.data + b"more")], "is larger than"),
    "two-compressed": (lambda m: [Member(m.name, m.data + m.data)], "is larger than"),
    "unpacks-to-more": (lambda m: [Member(m.name, _zeros(2**26))], "is larger than"),
    "other-contents": (lambda m: [Member(m.name, gzip.compress(b"x" * 23))], "has the SHA-256"),
}  # fmt: skip


def _zeros(size: int) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as out:
        for _ in range(size >> 20):
            out.write(bytes(1 << 20))
    return packed.getvalue()


@pytest.mark.parametrize("case", WRONG_MEMBERS)
def test_wrong_member_is_an_error(tmp_path: Path, file: Path, original: Path, case: str) -> None:
    change, words = WRONG_MEMBERS[case]
    first, wrong, *rest = files.members(file)
    files.write(file, [first, *change(wrong), *rest])
    with pytest.raises(StepError, match="is not a complete cache file") as caught:
        files.bring(file, tmp_path / "second")
    assert words in caught.value.why
    require_complete(tmp_path / "second", original)
    assert not list((tmp_path / "second/programs").iterdir())


def test_blob_of_other_size_or_contents_is_an_error(tmp_path: Path, file: Path, original: Path) -> None:
    *first, last = files.members(file)
    for data in (last.data + b"x", bytes(len(last.data))):
        files.write(file, [*first, Member(last.name, data)])
        with pytest.raises(StepError, match="is not a complete cache file"):
            files.bring(file, tmp_path / "second")
        require_complete(tmp_path / "second", original)
        assert not (tmp_path / "second/images/blobs/sha256" / last.name.removeprefix("blobs/")).exists()


def test_changed_index_is_an_error(tmp_path: Path, file: Path) -> None:
    first, *rest = files.members(file)
    files.write(file, [Member(first.name, first.data.replace(b"tool-", b"toom-")), *rest])
    with pytest.raises(StepError) as caught:
        files.bring(file, tmp_path / "second")
    assert caught.value.why == "its index is not what was written"


def test_member_after_the_last_is_an_error(tmp_path: Path, file: Path) -> None:
    files.write(file, [*files.members(file), Member("more", b"more")])
    with pytest.raises(StepError) as caught:
        files.bring(file, tmp_path / "second")
    assert caught.value.why == "it has more members than its index"


def test_index_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo(f"index/{ZEROS}")
    info.size = 2**32
    (tmp_path / "file.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT))
    with pytest.raises(StepError) as caught:
        files.bring(tmp_path / "file.tar", tmp_path / "second")
    assert caught.value.why == "its index has 4294967296 bytes"


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"\xff", b'{"format": 1e400}', b"[" * 100_000, b'{"format":' + b"9" * 5000 + b"}"],
)
def test_index_that_is_no_index_is_an_error(tmp_path: Path, text: bytes) -> None:
    files.write(tmp_path / "file.tar", [files.index_member(text)])
    with pytest.raises(StepError, match="is not a complete cache file"):
        files.bring(tmp_path / "file.tar", tmp_path / "second")


@pytest.mark.parametrize("name", ["none.tar", ".", "/dev/zero", "x" * 300])
def test_name_of_no_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        files.bring(Path(name), tmp_path / "second")


def test_other_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a tar\n" * 200)
    with pytest.raises(StepError, match="is not a complete cache file"):
        files.bring(tmp_path / "text", tmp_path / "second")


def test_every_truncated_file_is_an_error(tmp_path: Path, file: Path, original: Path) -> None:
    whole = file.read_bytes()
    end = len(whole.rstrip(b"\0"))
    for number, size in enumerate(range(0, end, 4096)):
        file.write_bytes(whole[:size])
        with pytest.raises(StepError, match="is not a complete cache file"):
            files.bring(file, tmp_path / str(number))
        require_complete(tmp_path / str(number), original)


def test_every_flipped_byte_is_an_error_or_without_effect(tmp_path: Path, file: Path, original: Path) -> None:
    """Bytes between the members have no meaning; --sha256 covers them too."""
    whole = file.read_bytes()
    picked = random.Random(14)  # the same bytes in every run
    places = sorted({*picked.sample(range(len(whole)), 40), *range(0, 512, 32)})
    for number, place in enumerate(places):
        changed = bytearray(whole)
        changed[place] ^= 1 << picked.randrange(8)
        file.write_bytes(changed)
        cache = tmp_path / str(number)
        try:
            files.bring(file, cache)
        except PlatformError as error:
            assert int(error.exit_code) in (4, 5), f"byte {place}: {error.what}"
        require_complete(cache, original)


def test_given_digest_is_checked_before_anything_is_imported(tmp_path: Path, file: Path) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(StepError, match="has another SHA-256") as caught:
        files.bring(file, tmp_path / "second", sha256=ZEROS)
    assert digest in caught.value.why and not (tmp_path / "second").exists()
    assert files.bring(file, tmp_path / "second", sha256=digest).new


def test_given_digest_covers_bytes_without_meaning(tmp_path: Path, file: Path) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(StepError, match="has another SHA-256"):
        files.bring(file, tmp_path / "second", sha256=digest)


def test_given_digest_of_a_stream_is_an_error(file: Path) -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with opened("-", Stream(file.read_bytes())) as incoming, pytest.raises(UsageError, match="needs a file"):
        incoming.require_digest(ZEROS)

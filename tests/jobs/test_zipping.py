"""What is published: the same content is the same zip, and nothing that nodes would refuse."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.nodes.packages import HostileZipError, unpack
from jobs.errors import InputError
from jobs.zipping import pack


def packed(path: Path) -> tuple[str, bytes]:
    stream = io.BytesIO()
    digest = pack(path, stream)
    return digest, stream.getvalue()


def tree(root: Path) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "run").write_text("#!/bin/sh\necho hello\n")
    (root / "bin" / "run").chmod(0o700)
    (root / "data.txt").write_text("data")
    (root / "empty").mkdir()
    return root


def test_the_same_content_is_the_same_bytes_whatever_its_times_and_umask(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "one"), tree(tmp_path / "other")
    os.utime(other / "data.txt", (1, 1))
    (other / "data.txt").chmod(0o600)
    (other / "bin" / "run").chmod(0o755)
    assert packed(one) == packed(other)
    (other / "data.txt").write_text("other")
    assert packed(one)[0] != packed(other)[0]
    (other / "data.txt").write_text("data")
    (other / "bin" / "run").chmod(0o644)
    assert packed(one)[0] != packed(other)[0]


def test_what_a_node_unpacks_is_what_was_packed(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(packed(tree(tmp_path / "tree"))[1])
    unpack(archive, tmp_path / "node")
    assert (tmp_path / "node/bin/run").read_text() == "#!/bin/sh\necho hello\n"
    assert os.access(tmp_path / "node/bin/run", os.X_OK)
    assert not os.access(tmp_path / "node/data.txt", os.X_OK)
    assert (tmp_path / "node/empty").is_dir()


def test_a_file_is_alone_in_its_zip_and_a_zip_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tree(tmp_path / "tree") / "bin" / "run"
    _, content = packed(file)
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["run"]
    ready = tmp_path / "ready.zip"
    ready.write_bytes(content)
    assert packed(ready)[1] == content


def test_a_zip_that_is_none_is_refused_and_not_put_into_another(tmp_path: Path) -> None:
    false = tmp_path / "x.zip"
    for content in (b"no zip at all", b"", b"PK\x03\x04 cut short"):
        false.write_bytes(content)
        stream = io.BytesIO()
        with pytest.raises(InputError, match="is no zip, though its name ends so"):
            pack(false, stream)
        assert stream.getvalue() == b""
    false.unlink()
    with pytest.raises(InputError, match="is not there"):
        packed(false)


def member(name: str, kind: int = stat.S_IFREG) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system = 3
    made.external_attr = (kind | 0o644) << 16
    return made


def test_every_member_of_a_ready_zip_that_nodes_would_refuse_is_told(tmp_path: Path) -> None:
    bad = {
        "../../evil.txt": "leads out",
        "bin/../../evil": "leads out",
        "/etc/evil": "absolute",
        "C:/evil": "absolute",
        "back\\slash": "backslash",
        "link": "is a link",
        "pipe": "neither a file",
    }
    kinds = {"link": stat.S_IFLNK, "pipe": stat.S_IFIFO}
    ready = tmp_path / "ready.zip"
    with zipfile.ZipFile(ready, "w") as archive:
        archive.writestr(member("bin/run"), "fine")
        archive.writestr(member("./data"), "fine")
        for name in bad:
            archive.writestr(member(name, kinds.get(name, stat.S_IFREG)), "x")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(member("bin/run"), "again")
    stream = io.BytesIO()
    with pytest.raises(InputError) as refused:
        pack(ready, stream)
    assert stream.getvalue() == b""
    told = [finding.message for finding in refused.value.findings]
    for message, (name, why) in zip(told, [*bad.items(), ("bin/run", "twice")], strict=True):
        assert message.startswith(f"{name!r} ")
        assert why in message
    with pytest.raises(HostileZipError):
        unpack(ready, tmp_path / "node")
    with zipfile.ZipFile(ready, "w"):
        pass
    with pytest.raises(InputError, match="nothing to publish"):
        packed(ready)


def test_everything_that_cannot_be_packed_is_told_at_once(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree")
    (root / "link").symlink_to("/etc/passwd")
    (root / "bin" / "also").symlink_to(root)
    (root / "bin" / "back\\slash").write_text("x")
    os.mkfifo(root / "pipe")
    with pytest.raises(InputError) as refused:
        packed(root)
    assert sorted(Path(one.where).name for one in refused.value.findings) == [
        "also",
        "back\\slash",
        "link",
        "pipe",
    ]
    with pytest.raises(InputError, match="is not there"):
        packed(tmp_path / "absent")
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match="nothing to publish"):
        packed(tmp_path / "void")


@given(*(st.dictionaries(st.sampled_from("abc"), st.binary(max_size=3)),) * 2)
def test_two_digests_are_equal_just_when_the_contents_are(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    with TemporaryDirectory() as place:
        digests = []
        for number, files in enumerate((one, other)):
            root = Path(place, str(number))
            root.mkdir()
            for name, content in {**files, "always": b""}.items():
                (root / name).write_bytes(content)
            digests.append(packed(root)[0])
    assert (digests[0] == digests[1]) is (one == other)

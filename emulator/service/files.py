"""Handlers of files of tasks and nodes.

A path from outside is relative and stays inside the directory that it is relative to:
each is resolved, symbolic links included, before anything is read or removed. What is
neither a file nor a directory (a task can make a pipe) is not there. All that touches
the disk is `Work` of a thread, which takes from the world only a root.

A name that is not UTF-8 is told with U+FFFD where it cannot be told; its `url` is exact,
and leads to it.
"""

from __future__ import annotations

import mimetypes
import os
import re
import shutil
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from emulator.clock import UNIX_EPOCH_TICKS
from emulator.engine.refusal import Refused
from emulator.engine.world import Task
from emulator.service import render
from emulator.service.call import Call, FileBody, Host, Reply, Work
from emulator.service.nodes import find as find_node
from emulator.service.tasks import find as find_task
from emulator.service.values import agent_instant, http_date

_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")


def task_file(host: Host, task: Task, name: str) -> Path:
    """A file of a task, by a name relative to its directory.

    Raises:
        Refused: `FileNotFound`, `TaskFilesCleanedup`, `TaskFilesUnavailable`.
    """
    return _inside(_root_of(host, task), name)


def _task_root(call: Call) -> Path:
    return _root_of(call.host, find_task(call))


def _root_of(host: Host, task: Task) -> Path:
    if not task.files:
        gone = task.node_id and task.state == "completed"
        raise Refused("TaskFilesCleanedup" if gone else "TaskFilesUnavailable")
    pool = host.world.pools.get(task.pool_id.lower())
    if pool is None or task.node_id not in pool.nodes:
        raise Refused("TaskFilesUnavailable")
    return host.task_directory(task)


def _node_root(call: Call) -> Path:
    return call.host.node_directory(find_node(call))


def _inside(root: Path, name: str) -> Path:
    """The file of a name under a root.

    Raises:
        Refused: `FileNotFound`, also for the root itself and for a name that would lead
            outside.
    """
    if not name or "\0" in name:
        raise Refused("FileNotFound")
    try:
        path = (root / name.replace("\\", "/").lstrip("/")).resolve(strict=True)
    except (OSError, RuntimeError):
        raise Refused("FileNotFound") from None
    if root.resolve() not in path.parents:
        raise Refused("FileNotFound")
    return path


def _ticks(mtime_ns: int) -> int:
    return UNIX_EPOCH_TICKS + mtime_ns // 100


def _url(call: Call) -> str:
    return f"{call.base}{call.raw_path.rpartition('/files')[0]}/files"


def _walk(root: Path, *, deep: bool) -> Iterator[str]:
    """Names below a root, breadth first, a directory's in order.

    Whoever takes only the first of them has only so many directories read.
    """
    waiting: deque[str] = deque([""])
    while waiting:
        within = waiting.popleft()
        try:
            with os.scandir(root / within) as found:
                children = sorted((one.name, one.is_dir(follow_symlinks=False)) for one in found)
        except OSError:
            continue
        for child, is_directory in children:
            name = f"{within}/{child}" if within else child
            if deep and is_directory:
                waiting.append(name)
            yield name


def _element(root: Path, name: str, url: str) -> dict[str, Any] | None:
    path = root / name
    try:
        found = path.stat()
    except OSError:
        return None
    directory = stat.S_ISDIR(found.st_mode)
    if not directory and not stat.S_ISREG(found.st_mode):
        return None
    element: dict[str, Any] = {
        "name": os.fsencode(name).decode(errors="replace"),
        "url": f"{url}/{quote(os.fsencode(name))}",
        "isDirectory": directory,
    }
    if not directory:
        element["properties"] = {
            "lastModified": agent_instant(_ticks(found.st_mtime_ns)),
            "contentLength": str(found.st_size),
            "contentType": _content_type(path),
            "fileMode": f"0o{found.st_mode:o}",
        }
    return element


def _content_type(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _list(call: Call, root: Path) -> Reply:
    url = _url(call)
    shown: dict[str, dict[str, Any]] = {}

    def keys(after: str) -> Iterator[str]:
        for index, name in enumerate(_walk(root, deep=call.flag("recursive"))):
            key = f"{index:09d}"
            if key > after and (element := _element(root, name, url)) is not None:
                shown[key] = element
                yield key

    return call.listing("files", render.FILE_MEMBERS, keys, lambda key, _names: shown[key])


def _get(call: Call, root: Path) -> Reply:
    path = _inside(root, call.path["filePath"])
    if path.is_dir():
        return Reply(headers=(("ocp-batch-file-isdirectory", "True"), *_file_url(call)))
    with ExitStack() as unsent:
        stream = unsent.enter_context(open_regular(path))
        reply = _get_open(call, path, stream)
        if reply.file is not None:
            unsent.pop_all()
    return reply


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file.

    Raises:
        Refused: `FileNotFound`, also for anything else that has a name.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for somebody who writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise Refused("FileNotFound") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refused("FileNotFound")
    return os.fdopen(descriptor, "rb")


def _get_open(call: Call, path: Path, stream: BinaryIO) -> Reply:
    found = os.fstat(stream.fileno())
    modified = _ticks(found.st_mtime_ns)
    if unchanged := call.check_conditions(modified):
        return unchanged
    start, length, in_part = 0, found.st_size, False
    asked = call.headers.get("ocp-range") or call.headers.get("range")
    if asked and call.method == "GET":
        start, length, in_part = _part(asked, found.st_size)
    headers = (
        ("Content-Type", _content_type(path)),
        ("Last-Modified", http_date(modified)),
        ("ocp-batch-file-isdirectory", "False"),
        *_file_url(call),
        ("ocp-batch-file-mode", f"0o{found.st_mode:o}"),
    )
    if call.method == "HEAD":
        return Reply(headers=(("Content-Length", str(found.st_size)), *headers))
    if in_part:
        span = f"bytes {start}-{start + length - 1}/{found.st_size}"
        headers += (("Content-Range", span),)
    stream.seek(start)
    return Reply(headers=headers, file=FileBody(stream=stream, length=length))


def _file_url(call: Call) -> tuple[tuple[str, str], ...]:
    return (("ocp-batch-file-url", quote(f"{call.base}{call.raw_path}", safe="%")),)


def _part(asked: str, size: int) -> tuple[int, int, bool]:
    match = _RANGE.fullmatch(asked.strip())
    if match is None:
        raise Refused("InvalidHeaderValue", {"HeaderName": "ocp-range", "HeaderValue": asked[:64]})
    start = int(match[1])
    end = int(match[2]) if match[2] else size - 1
    if start >= size or end < start:
        raise Refused("InvalidRange")
    return start, min(end, size - 1) - start + 1, True


def _delete(call: Call, root: Path) -> Reply:
    path = _inside(root, call.path["filePath"])
    if path.is_dir():
        if not call.flag("recursive"):
            raise Refused("OperationInvalidForCurrentState")
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return Reply()


def list_task_files(call: Call) -> Work:
    """GET /jobs/{jobId}/tasks/{taskId}/files."""
    return partial(_list, call, _task_root(call))


def get_task_file(call: Call) -> Work:
    """GET and HEAD of a task's file."""
    return partial(_get, call, _task_root(call))


def delete_task_file(call: Call) -> Work:
    """DELETE of a task's file."""
    return partial(_delete, call, _task_root(call))


def list_node_files(call: Call) -> Work:
    """GET /pools/{poolId}/nodes/{nodeId}/files."""
    return partial(_list, call, _node_root(call))


def get_node_file(call: Call) -> Work:
    """GET and HEAD of a node's file."""
    return partial(_get, call, _node_root(call))


def delete_node_file(call: Call) -> Work:
    """DELETE of a node's file."""
    return partial(_delete, call, _node_root(call))

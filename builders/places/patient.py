"""A store as pyarrow's datasets read it, each request tried again as builders.places.persist does.

The cloud's SDK gives up on an answer that is cut off in its middle: it has handed on a part of it by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs as pa_fs

from builders.places.persist import persist

if TYPE_CHECKING:
    from builders.places.remote import RemotePath


class Patient(pa_fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow is untyped
    """What pyarrow asks of a file system that is read. `root` is any path of the store."""

    def __init__(self, root: RemotePath) -> None:
        self._root = root

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Patient) and other._root == self._root

    def __hash__(self) -> int:
        return hash(self._root)

    def get_type_name(self) -> str:
        return "patient"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: Sequence[str]) -> list[pa_fs.FileInfo]:
        found: list[pa_fs.FileInfo] = persist(str(self._root), lambda: self._root.filesystem.get_file_info(paths))
        return found

    def get_file_info_selector(self, selector: pa_fs.FileSelector) -> list[pa_fs.FileInfo]:
        found: list[pa_fs.FileInfo] = persist(str(self._root), lambda: self._root.filesystem.get_file_info(selector))
        return found

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(self._root.at(path).ranges(), mode="r")

    open_input_stream = open_input_file

    def _refuse(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("it is only read")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = delete_file = _refuse
    move = copy_file = open_output_stream = open_append_stream = _refuse

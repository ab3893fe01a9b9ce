"""The file format of golden vectors: write, read, validate. README.md in this directory describes the format."""

from ._difference import compare_directories
from ._manifest import Manifest, read_manifest
from ._members import store
from ._read import Vectors, read_vectors
from ._write import PackedTheme, pack_theme, refuse_other_contents, roundtrip, write_manifest, write_theme, write_themes
from .inputs import write_inputs
from .npz import pack, read_npz, write_npz

__all__ = [
    "Manifest",
    "PackedTheme",
    "Vectors",
    "compare_directories",
    "pack",
    "pack_theme",
    "read_manifest",
    "read_npz",
    "read_vectors",
    "refuse_other_contents",
    "roundtrip",
    "store",
    "write_inputs",
    "write_manifest",
    "write_npz",
    "write_theme",
    "write_themes",
]

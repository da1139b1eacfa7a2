"""Cache files: programs, images and charts of the cache in one file, for another machine or for CI."""

from mlops_platform.adapters.cachefile.incoming import STREAM, Incoming, opened
from mlops_platform.adapters.cachefile.index import Index, other_go
from mlops_platform.adapters.cachefile.load import Loaded, load
from mlops_platform.adapters.cachefile.save import Saved, Wanted, save, survey, written

__all__ = [
    "STREAM",
    "Incoming",
    "Index",
    "Loaded",
    "Saved",
    "Wanted",
    "load",
    "opened",
    "other_go",
    "save",
    "survey",
    "written",
]

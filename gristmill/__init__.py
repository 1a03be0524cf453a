"""gristmill mills raw pairs into multimodal training sets."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("gristmill")
except PackageNotFoundError:  # a checkout that is run without being installed
    __version__ = "0+checkout"

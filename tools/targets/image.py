"""The image that targets start from: a Debian made of its packages, kept between runs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from tools.targets.commands import PODMAN, ROOT, listed_packages, run, succeeds

_CACHE = ROOT / ".cache" / "target-image"
_EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
_log = logging.getLogger("targets")


def ensure_image(suite: str, *, bootable: bool = False) -> str:
    """The name of the image of a Debian release, made now if its package lists changed.

    ``bootable`` adds what a virtual machine takes. Raises TargetError.
    """
    packages = listed_packages("packages-target.txt")
    if bootable:
        packages += listed_packages("packages-machine.txt")
    recipe = "\n".join([suite, *packages, *_EXCLUDED])
    fingerprint = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    image = f"localhost/claude-flow-target:{suite}-{fingerprint}"
    if not succeeds(*PODMAN, "image", "exists", image):
        _CACHE.mkdir(parents=True, exist_ok=True)
        archive = _CACHE / f"{suite}-{fingerprint}.tar"
        try:
            _bootstrap(suite, packages, archive)
            _log.info("importing %s", image)
            run(*PODMAN, "import", "--quiet", str(archive), image)
        finally:
            archive.unlink(missing_ok=True)
    return image


def _bootstrap(suite: str, packages: Sequence[str], archive: Path) -> None:
    _log.info("making a Debian %s root (about a minute)", suite)
    run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude={path}" for path in _EXCLUDED),
        # Kept, so that the role's apt task finds its lists.
        "--skip=cleanup/apt/lists",
        suite,
        str(archive),
    )

"""Follows release metadata as any TUF client would: python-tuf's ngclient, from a root it is given, over HTTP.

Arguments: a folder that keeps what is trusted, the root file, the URLs of metadata and of targets, the clock in seconds since
1970, and targets to download.
Prints one JSON object: what is trusted, the digest of each download; or the name of the error that ended it.
"""

import datetime
import hashlib
import json
import pathlib
import sys

from tuf.ngclient import Updater


def main(folder, root, metadata, targets, now, *names):
    folder = pathlib.Path(folder)
    downloads = folder / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    trusted = folder / "trusted"
    trusted.mkdir(exist_ok=True)
    updater = Updater(str(trusted), metadata, str(downloads), targets, bootstrap=pathlib.Path(root).read_bytes())
    # What python-tuf judges expiry by; it has no argument for it.
    updater._trusted_set.reference_time = datetime.datetime.fromtimestamp(int(now), datetime.timezone.utc)
    updater.refresh()
    read = lambda role: json.loads((trusted / f"{role}.json").read_text())["signed"]
    listed = read("targets")["targets"]
    seen = {role: read(role)["version"] for role in ("root", "timestamp", "snapshot", "targets")}
    seen["listed"] = {name: target["hashes"]["sha256"] for name, target in listed.items()}
    seen["downloaded"] = {}
    for name in names:
        target = updater.get_targetinfo(name)
        if target is None:
            raise LookupError(name)
        path = updater.download_target(target)
        seen["downloaded"][name] = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    return seen


if __name__ == "__main__":
    try:
        print(json.dumps(main(*sys.argv[1:])))
    except Exception as error:
        print(json.dumps({"error": type(error).__name__, "detail": str(error)}))

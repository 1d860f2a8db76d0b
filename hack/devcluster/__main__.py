"""A devcluster from the shell: `python -m hack.devcluster up /tmp/mine`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from .build import build
from .cluster import Cluster
from .errors import ClusterError
from .install import install

VERBS = {
    "build": "compile the binary, if it is not in the cache, and print its path",
    "up": "start the cluster in FOLDER, making it when new, and print its kubeconfig's path",
    "install": "apply Hypernova's kinds, policies and roles to the running cluster in FOLDER",
    "kubeconfig": "print the path of the kubeconfig of the cluster in FOLDER",
    "down": "stop the cluster in FOLDER; its data stays",
    "delete": "stop the cluster in FOLDER and remove its data",
}


def main() -> int:
    """Does one verb; the exit status is 1 when it failed."""
    parser = argparse.ArgumentParser(prog="python -m hack.devcluster", description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="tell where the time goes")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, explanation in VERBS.items():
        command = verbs.add_parser(verb, help=explanation)
        if verb != "build":
            command.add_argument("folder", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(message)s")
    try:
        print_result(arguments.verb, arguments)
    except ClusterError as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def print_result(verb: str, arguments: argparse.Namespace) -> None:
    """Does the verb, and prints what a script would want to catch."""
    if verb == "build":
        print(build())
        return
    cluster = Cluster(arguments.folder)
    match verb:
        case "up":
            cluster.up()
            print(cluster.kubeconfig)
        case "install":
            install(cluster)
        case "kubeconfig":
            print(cluster.kubeconfig)
        case "down":
            cluster.down()
        case "delete":
            cluster.delete()


if __name__ == "__main__":
    sys.exit(main())

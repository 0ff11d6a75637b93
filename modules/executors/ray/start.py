"""Ray's own command line, without its server for clients that are no part of the cluster.

That one takes 46 MB and listens on port 10001, nobody here asks it, and no option leaves it out.
"""

from __future__ import annotations


def main() -> None:
    """Do what the arguments of this process say."""
    from ray.scripts import scripts

    # Ray starts that server unless a package for it is missing.
    scripts.get_ray_client_dependency_error = lambda: ImportError("not wanted here")
    scripts.main()


if __name__ == "__main__":
    main()

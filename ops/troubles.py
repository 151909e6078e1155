"""What is wrong in an estate, by subject: what a change must not add to, and what it may repair."""

from __future__ import annotations

from ops.status import Status


def troubles(seen: Status) -> frozenset[str]:
    """The names of hosts that are not healthy, missing, or out of the load balancer's rotation; and `database`, `cache`
    and `load balancer` where the tier as a whole is not redundant or does not serve.
    """
    found = {problem.partition(":")[0] for problem in seen.problems if not problem.startswith("load balancer: ")}
    found |= {name for name, state in seen.load_balancer.servers.items() if state != "UP"}
    if seen.load_balancer.active is None or not seen.load_balancer.servers:
        found.add("load balancer")
    return frozenset(found)

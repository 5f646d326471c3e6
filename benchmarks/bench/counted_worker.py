"""One process whose instructions are counted.

Started as ``python -m bench.counted_worker <workload> <agent> <settings as JSON> <units>…``, under callgrind with
``--dump-before=getsid``: each call of ``os.getsid`` ends one count and starts the next. Prints what the agent recorded, as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import sys

from bench.agents.protocol import agent_named
from bench.arguments import arguments
from bench.clocks import modules_with_real_clocks, replace_clocks
from bench.work import WORK

WARM_UP = 3
"""Times that the smallest number of units runs first: caches are filled and CPython has specialised its bytecode."""


def recorded() -> dict[str, object]:
    """
    Return the numbers of transactions and spans, the state of each plugin, and modules that read real clocks.

    Empty without an agent.
    """
    if "scout_core" not in sys.modules:
        return {}
    from bench.agents.scout_core_by_hand import running_agent

    agent = running_agent()
    counters = agent.counters()
    return {
        "transactions": counters.finished,
        "spans": counters.spans,
        "dropped": {reason: count for reason, count in counters.dropped.items() if reason != "no exporter"},
        "plugins": {status.name: str(status.state) for status in agent.plugin_statuses()},
        "real_clocks": modules_with_real_clocks(),
    }


def main(workload: str, agent_name: str, settings: str, *units: str) -> None:
    """Count the caller and then the agent's thread, for each number of units."""
    agent = agent_named(agent_name)
    agent.start("", json.loads(settings))
    run = WORK[workload](agent)
    sizes = [int(number) for number in units]
    for _ in range(WARM_UP):
        run(min(sizes))
        agent.flush()
    gc.collect()
    gc.disable()  # when it collects depends on what the process allocated before
    for size in sizes:
        os.getsid(0)
        run(size)
        os.getsid(0)
        agent.flush()
        os.getsid(0)
    print(json.dumps(recorded()))


if __name__ == "__main__":
    replace_clocks()
    main(*arguments(__doc__))

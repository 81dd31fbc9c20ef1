"""What becomes of those who are with a server that is lost: they are cut, and not at once.

Requests to a host that is gone would wait for ever over their open connections; cut, their clients can ask again.
HAProxy does that by itself as it marks a server down (`on-marked-down shutdown-sessions`), and cuts those too who wait
for a connection to it just then, whom `option redispatch` is about to lead to another: each was answered with nothing.
So they have the time that a connection has (`timeout connect`) first.
"""

from __future__ import annotations

from typing import Final

from bayplan.container import File, digest
from bayplan.haproxy.words import DIRECTORY

CONNECT: Final = 1.0  # seconds for a connection; to one that is gone it costs a retry after this
_MARGIN: Final = 0.25

# HAProxy's Lua API, 2.8 and newer. Events of one subscription come one after the other: each has a task of its own.
_SCRIPT: Final = f"""\
local function cut(server)
    core.msleep({round((CONNECT + _MARGIN) * 1000)})
    local seen = server:get_stats()
    if seen and string.sub(seen["status"], 1, 4) == "DOWN" then
        server:shut_sess()
    end
end

core.event_sub({{"SERVER_DOWN"}}, function(_, data)
    if data.reference then
        core.register_task(cut, data.reference)
    end
end)
"""

# Another script is another file: a configuration that is refused, or an older process, has the one that it names.
FILE: Final = File(f"{DIRECTORY}/lost-{digest(_SCRIPT)}.lua", _SCRIPT.encode())

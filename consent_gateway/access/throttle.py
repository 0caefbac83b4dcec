"""Sign-in becomes slower with each failure: by user, and by the network that tries.

After a few free tries each next one has to wait twice as long, up to a quarter of an hour. A user who is locked out by
somebody else's tries can still come in by a link of the command line. Memory is bounded, and what matters of it is kept
across restarts in `DATA_DIR/sign-in.json`: keyed hashes and counts, no name and no network.
"""

from __future__ import annotations

import hmac
import json
import os
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

FREE = {"user": 5, "network": 20}
LONGEST_WAIT = 15 * 60.0
_FORGET_SECONDS = 24 * 60 * 60.0
_MOST = 10_000
_MOST_KEPT = 500


class Throttle:
    """Counts tries. The keys that it is given are like `("user", "ann")`."""

    def __init__(self, data_dir: Path, secret: str) -> None:
        self._path = data_dir / "sign-in.json"
        self._key = hmac.digest(secret.encode(), b"consent-gateway.throttle", "sha256")
        self._lock = threading.Lock()
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()  # failures and the last one's time
        with suppress(OSError, ValueError, TypeError, AttributeError):
            self._tries.update(
                {name: (int(n), float(at)) for name, (n, at) in json.loads(self._path.read_text()).items()}
            )

    def begin(self, user: str, network: str) -> float:
        """Take a try: seconds to wait when it can't be taken yet, else 0. It counts as failed until `succeeded`, so
        that many at once are counted too."""
        now = time.time()
        with self._lock:
            names = self._names(user, network)
            wait = max(self._wait(kind, name, now) for kind, name in names)
            if wait <= 0:
                for _, name in names:
                    count, _ = self._tries.pop(name, (0, 0.0))
                    self._tries[name] = count + 1, now
                while len(self._tries) > _MOST:
                    self._tries.popitem(last=False)
                self._keep()
            return wait

    def succeeded(self, user: str, network: str) -> None:
        """The user is known: their failures are forgotten; the network's are not, but for this try."""
        with self._lock:
            (_, mine), (_, theirs) = self._names(user, network)
            self._tries.pop(mine, None)
            count, at = self._tries.get(theirs, (0, 0.0))
            if count > 1:
                self._tries[theirs] = count - 1, at
            else:
                self._tries.pop(theirs, None)
            self._keep()

    def _wait(self, kind: str, name: str, now: float) -> float:
        count, at = self._tries.get(name, (0, 0.0))
        if count < FREE[kind] or now - at > _FORGET_SECONDS:
            if now - at > _FORGET_SECONDS:
                self._tries.pop(name, None)
            return 0.0
        return max(0.0, at + min(2.0 ** min(count - FREE[kind], 20), LONGEST_WAIT) - now)

    def _names(self, user: str, network: str) -> tuple[tuple[str, str], tuple[str, str]]:
        def name(kind: str, value: str) -> str:
            return hmac.new(self._key, f"{kind}:{value}".encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:24]

        return ("user", name("user", user)), ("network", name("network", network))

    def _keep(self) -> None:
        """Those with most failures, for the next start. Without a disk the memory does."""
        worst = sorted(self._tries.items(), key=lambda item: item[1], reverse=True)[:_MOST_KEPT]
        draft = self._path.with_suffix(".draft")
        with suppress(OSError):
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(dict(worst), file)
            os.replace(draft, self._path)

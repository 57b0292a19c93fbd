"""Asks a server the same thing over a number of kept connections, as fast as it answers or at a given rate.

Run as `python benchmarks/load.py PORT PATH BODY_FILE CONNECTIONS SECONDS [RATE]`: a process of its own, so that its
work is not the server's. Prints one line of JSON; the ids of acknowledged predictions go to BODY_FILE.ids.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Seen:
    """What one connection saw."""

    latencies: list[float] = field(default_factory=list)  # seconds
    statuses: dict[int, int] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)


async def ask(port: int, request: bytes, until: float, interval: float, seen: Seen) -> None:
    """Ask until a moment; `interval` seconds between two questions of this connection, 0 for none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.perf_counter()
    while (now := time.perf_counter()) < until:
        if interval:
            due += interval
            if due > now:
                await asyncio.sleep(due - now)
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        seen.latencies.append(time.perf_counter() - started)
        status = int(head[9:12])
        seen.statuses[status] = seen.statuses.get(status, 0) + 1
        if status == 200 and body.startswith(b'{"id":"'):
            seen.ids.append(body[7:33].decode())
    writer.close()


async def drive(
    port: int, path: str, body: bytes, *, connections: int, seconds: float, rate: float
) -> tuple[Seen, float]:
    """Everything that all connections saw, and how long it took."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    started = time.perf_counter()
    everything = [Seen() for _ in range(connections)]
    interval = connections / rate if rate else 0.0
    await asyncio.gather(*(ask(port, head.encode() + body, started + seconds, interval, seen) for seen in everything))
    total = Seen()
    for seen in everything:
        total.latencies += seen.latencies
        total.ids += seen.ids
        for status, count in seen.statuses.items():
            total.statuses[status] = total.statuses.get(status, 0) + count
    return total, time.perf_counter() - started


def main() -> None:
    port, path, file, connections, seconds, *rate = sys.argv[1:]
    body = Path(file).read_bytes()
    seen, took = asyncio.run(
        drive(
            int(port),
            path,
            body,
            connections=int(connections),
            seconds=float(seconds),
            rate=float(rate[0]) if rate else 0.0,
        )
    )
    Path(f"{file}.ids").write_text("\n".join(seen.ids), encoding="utf-8")
    p50, p99 = np.quantile(seen.latencies, [0.5, 0.99]) * 1000
    print(
        json.dumps(
            {
                "requests": len(seen.latencies),
                "per_second": len(seen.latencies) / took,
                "p50_ms": p50,
                "p99_ms": p99,
                "statuses": seen.statuses,
                "ids": len(seen.ids),
            }
        )
    )


if __name__ == "__main__":
    main()

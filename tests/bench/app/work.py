"""Two kinds of work for the benchmark of the workers: one that waits, and one that computes."""

# FastAPI is in the release, not in the development environment.
# mypy: ignore-errors

from __future__ import annotations

import asyncio

from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ready"}


@app.get("/io")
async def io() -> dict[str, list[dict[str, int | str]]]:
    """Wait for a database as long as one on the same network takes, and answer with some rows of it."""
    await asyncio.sleep(0.01)
    return {"rows": [{"id": number, "name": f"row {number}"} for number in range(20)]}


@app.get("/cpu")
async def cpu() -> dict[str, int]:
    """Compute for some milliseconds, in which this worker does nothing else."""
    return {"sum": sum(number * number for number in range(30_000))}

"""The resource: notes with a title and a body.

Plain `def`, not `async def`: FastAPI runs these in its thread pool, where SQLite may block.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, Field

from notes.storage import Row, Storage

router = APIRouter(prefix="/notes", tags=["notes"])


class NoteText(BaseModel):
    """What a client writes."""

    title: str = Field(min_length=1, max_length=200)
    body: str = Field(default="", max_length=20_000)


class Note(NoteText):
    """What a client reads."""

    id: int
    created_at: datetime
    updated_at: datetime


def storage_of(request: Request) -> Storage:
    """Return the storage that main.py opened."""
    return cast(Storage, request.app.state.storage)


Notes = Annotated[Storage, Depends(storage_of)]
# SQLite's integers end at 64 bits; beyond, the driver raises instead of finding nothing.
NoteId = Annotated[int, Path(ge=1, lt=2**63)]


@router.post("", status_code=201, response_model=Note)
def create(text: NoteText, storage: Notes, response: Response) -> Row:
    """Store a note."""
    note = storage.add(text.title, text.body)
    # Relative on purpose: correct whatever scheme, host and port the client used.
    response.headers["Location"] = f"/notes/{note['id']}"
    return note


@router.get("", response_model=list[Note])
def newest(storage: Notes, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[Row]:
    """List the newest notes."""
    return storage.newest(limit)


@router.get("/{note_id}", response_model=Note)
def read(note_id: NoteId, storage: Notes) -> Row:
    """Return one note."""
    return _found(storage.get(note_id))


@router.put("/{note_id}", response_model=Note)
def replace(note_id: NoteId, text: NoteText, storage: Notes) -> Row:
    """Replace a note's text."""
    return _found(storage.replace(note_id, text.title, text.body))


@router.delete("/{note_id}", status_code=204)
def remove(note_id: NoteId, storage: Notes) -> None:
    """Remove a note."""
    if not storage.remove(note_id):
        raise HTTPException(404, "no such note")


def _found(note: Row | None) -> Row:
    if note is None:
        raise HTTPException(404, "no such note")
    return note

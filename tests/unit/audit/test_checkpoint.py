"""Checkpoints as signed notes: what was signed comes back, anything else is refused."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.checkpoint import Checkpoint, NoteInvalid, NoteSigner

ROOT = bytes(range(32))


@pytest.fixture
def signer() -> NoteSigner:
    return NoteSigner("celeriac.local/audit", Ed25519PrivateKey.generate())


def test_a_signed_checkpoint_says_what_was_signed(signer: NoteSigner) -> None:
    note = signer.sign(7, ROOT)
    assert note.startswith("celeriac.local/audit\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— ")
    assert signer.verify(note) == Checkpoint("celeriac.local/audit", 7, ROOT)


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n7\n", "\n8\n"),
        lambda note: note.replace("AAEC", "BAEC"),
        lambda note: note.replace("celeriac.local", "elsewhere"),
        lambda note: note.partition("\n\n")[0],
        lambda note: note[:-20],
        lambda _: "",
    ],
)
def test_a_changed_note_is_refused(signer: NoteSigner, change: object) -> None:
    assert callable(change)
    with pytest.raises(NoteInvalid):
        signer.verify(change(signer.sign(7, ROOT)))


def test_anothers_signature_is_refused(signer: NoteSigner) -> None:
    other = NoteSigner("celeriac.local/audit", Ed25519PrivateKey.generate())
    with pytest.raises(NoteInvalid, match="another"):
        signer.verify(other.sign(7, ROOT))


def test_a_note_of_another_origin_is_refused_by_both_names() -> None:
    key = Ed25519PrivateKey.generate()
    note = NoteSigner("elsewhere.example.com/audit", key).sign(7, ROOT)
    with pytest.raises(NoteInvalid, match=r"'elsewhere\.example\.com/audit', not 'celeriac\.local/audit'"):
        NoteSigner("celeriac.local/audit", key).verify(note)

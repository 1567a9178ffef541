"""python -m services.door serve | migrate"""

from __future__ import annotations

from services.door.serving import serve
from services.door.settings import DoorSettings
from services.kernel import process

if __name__ == "__main__":
    process.main("door", DoorSettings, {"serve": serve})

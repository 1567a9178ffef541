"""python -m services.door serve | enrol | public-key | migrate"""

from __future__ import annotations

from services.door.serving import enrol, public_key, serve
from services.door.settings import DoorSettings
from services.kernel import process

if __name__ == "__main__":
    process.main("door", DoorSettings, {"serve": serve, "enrol": enrol, "public-key": public_key})

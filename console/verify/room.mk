# console/verify: sources, programs and tests of this room.

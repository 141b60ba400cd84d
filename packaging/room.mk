# packaging: sources, programs and tests of this room.

# daemon/gate: sources, programs and tests of this room.

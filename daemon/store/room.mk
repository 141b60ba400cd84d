# daemon/store: sources, programs and tests of this room.

# daemon/herald: sources, programs and tests of this room.

# daemon/desk: sources, programs and tests of this room.

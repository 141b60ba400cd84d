# daemon/wire: sources, programs and tests of this room.

# daemon/db: sources, programs and tests of this room.

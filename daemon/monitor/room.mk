# daemon/monitor: sources, programs and tests of this room.

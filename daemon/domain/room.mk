# daemon/domain: sources, programs and tests of this room.

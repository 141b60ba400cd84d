# daemon/audit: sources, programs and tests of this room.

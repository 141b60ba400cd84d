# console/ctl: sources, programs and tests of this room.

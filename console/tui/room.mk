# console/tui: sources, programs and tests of this room.

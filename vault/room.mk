# vault: sources, programs and tests of this room.

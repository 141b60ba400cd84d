# vault/hsm: sources, programs and tests of this room.

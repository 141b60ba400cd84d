# daemon/courier: sources, programs and tests of this room.
